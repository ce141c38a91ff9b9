"""What judges said since their attempt's last row, kept as it comes: a kill -9 makes nobody pay twice."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.model_backend.role import Role
from longcat_eval.runners.manifest import RoleRecord

if TYPE_CHECKING:
    from longcat_eval.model_backend.cache import CachedModel

SCRIPTED = "scripted"


class PaidReplies:
    """A file of replies by their exact request, beside the rows of one shard; it goes when the run is whole.

    Everything in it stands in transcripts then.
    """

    def __init__(self, directory: Path, shard: str | None) -> None:
        self.path = directory / f"judge-replies{f'-{shard}' if shard else ''}.sqlite"
        self._open: list[CachedModel] = []

    def keeping(
        self, roles: Mapping[str, Role], judges: Iterable[str], records: Mapping[str, RoleRecord]
    ) -> dict[str, Role]:
        """The roles, of which the judges' replies are kept; scripts cost nothing and are asked again."""
        from longcat_eval.model_backend.cache import CachedModel

        kept = dict(roles)
        for name in sorted(set(judges)):
            record = records.get(name)
            if name in roles and record is not None and record.kind != SCRIPTED:
                where = f"{record.endpoint} {name}"
                model = CachedModel(roles[name].model, self.path, identity=where, as_paid=True)
                self._open.append(model)
                kept[name] = replace(roles[name], model=model)
        return kept

    def close(self, *, whole: bool) -> None:
        """Close the file; delete it where nothing is left to judge."""
        for model in self._open:
            model.close_file()
        if self._open and whole:
            self.path.unlink(missing_ok=True)
        self._open = []
