"""A base image without any registry: the host's own installed Debian packages as a root file system.

Files are those that dpkg lists for the packages and their installed dependencies, less documentation; what
maintainer scripts would make (users, the awk and which alternatives, nsswitch) is added. Nothing else of the
host gets in, except its bundle of public CA certificates.
"""

import hashlib
import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError

REPOSITORY = "longcat-eval/host-base"
FORMAT = "1"
SHELL_PACKAGES = (
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libc-bin",
    "mawk",
    "ncurses-base",
    "procps",
    "sed",
    "tar",
    "util-linux",
)
PACKAGES = (*SHELL_PACKAGES, "git", "patch", "python3")

_DROPPED = re.compile(r"/usr/share/(doc|man|info|locale|lintian|bash-completion|bug|menu)(/|$)")
_TOP_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/run", "/var/lock")
_EMPTY_DIRECTORIES = ("dev", "proc", "run", "sys", "tmp", "var/tmp", "root")
_COPIES = {
    "/usr/share/base-passwd/passwd.master": "etc/passwd",
    "/usr/share/base-passwd/group.master": "etc/group",
    "/usr/share/base-files/nsswitch.conf": "etc/nsswitch.conf",
    "/etc/ssl/certs/ca-certificates.crt": "etc/ssl/certs/ca-certificates.crt",
}
_ALTERNATIVES = Path("/var/lib/dpkg/alternatives")
_STATUS_FIELDS = ("Package", "Version", "db:Status-Abbrev", "Pre-Depends", "Depends", "Provides")


class Installed(NamedTuple):
    """One installed package; `depends` is a list of alternatives lists."""

    version: str
    depends: list[list[str]]


def build_host_image(packages: Sequence[str] = PACKAGES) -> str:
    """Import the image of `packages` unless it is there already; return its tag, which names its content.

    Raises `EnvironmentUnusableError` where the host is not Debian-like or lacks one of the packages.
    """
    from longcat_eval.runners.sandbox.daemon import connect

    found = closure(packages, installed_packages())
    named = "\n".join([FORMAT, *(f"{name}={version}" for name, version in sorted(found.items()))])
    tag = hashlib.sha256(named.encode()).hexdigest()[:12]
    with connect() as client:
        if not client.images.list(name=f"{REPOSITORY}:{tag}"):
            with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
                write_root(Path(archive.name), file_list(found))
                client.api.import_image(
                    src=archive.name, repository=REPOSITORY, tag=tag, changes=['CMD ["bash"]']
                )
    return f"{REPOSITORY}:{tag}"


def installed_packages() -> dict[str, Installed]:
    """Every installed package, virtual names included."""
    template = "\t".join(f"${{{name}}}" for name in _STATUS_FIELDS) + "\n"
    try:
        listing = subprocess.run(
            ["dpkg-query", "-W", "-f", template], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise EnvironmentUnusableError(
            "an image from this host's packages needs Debian or Ubuntu (dpkg-query does not work here)"
        ) from None
    found: dict[str, Installed] = {}
    provided: dict[str, str] = {}
    for line in listing.splitlines():
        name, version, status, before, depends, provides = line.split("\t")
        if status.startswith("ii"):
            found.setdefault(name, Installed(version, _relations(before) + _relations(depends)))
            provided |= {virtual: name for (virtual,) in _relations(provides) if virtual not in provided}
    return {v: Installed("", [[name]]) for v, name in provided.items()} | found


def _relations(field: str) -> list[list[str]]:
    """`a (>= 1), b:any | c` as [[a], [b, c]]."""
    clauses = [clause for clause in field.split(",") if clause.strip()]
    return [[re.split(r"[\s(:\[]", option.strip())[0] for option in clause.split("|")] for clause in clauses]


def closure(packages: Iterable[str], installed: dict[str, Installed]) -> dict[str, str]:
    """The packages and all they depend on, each with its version."""
    missing = [name for name in packages if name not in installed]
    if missing:
        raise EnvironmentUnusableError(
            f"an image from this host's packages needs: apt-get install {' '.join(missing)}"
        )
    found: dict[str, str] = {}
    waiting, seen = list(packages), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if installed[name].version:
            found[name] = installed[name].version
        for options in installed[name].depends:
            waiting += [option for option in options if option in installed][:1]
    return found


def file_list(packages: Iterable[str]) -> list[Path]:
    """The files and directories of the packages that exist, by their real paths, documentation dropped."""
    listing = subprocess.run(
        ["dpkg-query", "--listfiles", *sorted(packages)], capture_output=True, text=True, check=True
    ).stdout
    found = set()
    for line in listing.splitlines():
        if not line.startswith("/") or line == "/." or _DROPPED.match(line):
            continue
        # On merged-/usr hosts a package may list /bin/bash, where /bin is a link to usr/bin.
        path = Path(os.path.realpath(Path(line).parent)) / Path(line).name
        if os.path.lexists(path) and str(path) not in _TOP_LINKS:
            found.add(path)
    return sorted(found | set(_alternatives(found)))


def _alternatives(files: set[Path]) -> list[Path]:
    """The links that update-alternatives keeps to any of `files`, such as /usr/bin/awk."""
    found = []
    for record in _ALTERNATIVES.iterdir() if _ALTERNATIVES.is_dir() else ():
        link, managed = (
            Path(record.read_text(encoding="utf-8").splitlines()[1]),
            Path("/etc/alternatives") / record.name,
        )
        if managed.is_symlink() and Path(os.path.realpath(managed)) in files and link.is_symlink():
            found += [managed, Path(os.path.realpath(link.parent)) / link.name]
    return found


def write_root(archive: Path, files: Iterable[Path]) -> None:
    """Write the root file system as a tar file, everything owned by root."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for link in _TOP_LINKS:
            if Path(link).is_symlink():
                tar.add(link, recursive=False, filter=_owned_by_root)
        for name in _EMPTY_DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(entry)
        for path in files:
            if str(path).strip("/") not in _EMPTY_DIRECTORIES:
                tar.add(path, recursive=False, filter=_owned_by_root)
        for source, target in _COPIES.items():
            if Path(source).is_file():
                content = Path(source).read_bytes()
                entry = tarfile.TarInfo(target)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
