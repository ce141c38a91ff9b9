"""`report --format html`: one file that opens from disk, asks no network and runs no code but its own.

Every text goes through jinja2's escaping, or into the page as base64 that its script writes as text nodes. A
content security policy that names the script and the style by their hashes forbids all else.
"""

import base64
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from longcat_eval import __version__
from longcat_eval.reports import texts
from longcat_eval.reports.html import summary
from longcat_eval.reports.html.attempts import embed, index, packed_json
from longcat_eval.reports.html.changes import Changes, all_changes, changed_questions
from longcat_eval.reports.notes import notes
from longcat_eval.reports.table import Table

if TYPE_CHECKING:
    from jinja2 import Template

    from longcat_eval.runners.store import RunData

FOLDER = Path(__file__).parent
EMBED_MB = 10.0
"""Default of the cap on embedded transcripts, in millions of characters of the page."""
STEERING = {c: chr(0x2400 + c) for c in range(32) if c not in (9, 10)} | {127: "\u2421"}
STEERING |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
STEERING |= {c: f"[U+{c:04X}]" for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def to_html(table: Table, runs: Sequence["RunData"], embed_mb: float = EMBED_MB) -> str:
    """The page, with transcripts embedded up to `embed_mb` MB of the file; equal runs, equal bytes."""
    changes = all_changes(table, runs)
    embedded = embed(runs, int(embed_mb * 1e6), changed_questions(changes))
    total = sum(len(run.rows) for run in runs)
    said = ""
    if embedded.kept < total:
        first = ", those that changed between runs first" if changes else ""
        said = (
            f"{embedded.kept:,} of {total:,} transcripts are in this file: {embed_mb:g} MB at most, evenly "
            f"spread over the questions of each benchmark{first}. All of them: "
            f"longcat-eval view {' '.join(str(run.path) for run in runs)}"
        )
    return _page(table, runs, changes, index(runs, labels(table), embedded), embedded.chunks, said)


def live_page(table: Table, runs: Sequence["RunData"], generation: str) -> str:
    """The page of `view`: no transcript is in it, its script asks the server for each by number."""
    return _page(table, runs, all_changes(table, runs), index(runs, labels(table)), [], "", generation)


def labels(table: Table) -> list[str]:
    """The labels of our columns, in the order of the runs."""
    return [column.label for column in table.columns if column.run]


def _page(
    table: Table,
    runs: Sequence["RunData"],
    changes: Sequence[Changes],
    attempts: dict[str, Any],
    chunks: Sequence[str],
    said: str,
    generation: str = "",
) -> str:
    style, script = _text("style.css"), _text("script.js")
    return _template().render(
        version=__version__,
        style=style,
        script=script,
        policy=policy(style, script, live=bool(generation)),
        table=table,
        texts=texts,
        notes=notes(table),
        plots=summary.plots(table),
        sources=summary.sources(table),
        parts=summary.run_parts(table, runs),
        meanings=summary.meanings(),
        changes=changes,
        origins=[_origin(run) for run in runs],
        title=", ".join(dict.fromkeys(column.model for column in table.columns if column.run)),
        count=len(attempts["columns"]["run"]),
        index=packed_json(attempts),
        chunks=chunks,
        said=said,
        generation=generation,
    )


def policy(style: str, script: str, *, live: bool) -> str:
    """The content security policy of the page."""
    rules = [
        "default-src 'none'",
        f"style-src 'sha256-{_digest(style)}'",
        f"script-src 'sha256-{_digest(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    return "; ".join(rules)


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode("ascii")


def _origin(run: "RunData") -> dict[str, Any]:
    """What a run was made with: a few facts, and the rest as JSON to unfold."""
    manifest = run.manifest
    started = [start.started for start in manifest.invocations]
    facts = {
        "model": manifest.model,
        "directory": str(run.path),
        "suite": manifest.suite or "",
        "seed": str(manifest.seed),
        "started": started[0] if started else "",
        "last start": started[-1] if len(started) > 1 else "",
    }
    if manifest.invocations:
        last = manifest.invocations[-1]
        commit = (
            f" ({last.git_commit[:12]}{', changed' if last.git_dirty else ''})" if last.git_commit else ""
        )
        facts |= {"made by": f"longcat-eval {last.version}{commit}, Python {last.python}", "host": last.host}
    for name, role in manifest.roles.items():
        sampling = ", ".join(f"{key} {value}" for key, value in role.sampling.items())
        facts[name] = "; ".join(filter(None, (role.served_name or role.name, role.endpoint, sampling)))
    more = {
        "roles, each setting with its origin": manifest.roles,
        "benchmarks: protocols and data": manifest.tasks,
        "first requests, as sent": manifest.first_requests,
        "starts: arguments, packages, settings": manifest.invocations,
    }
    return {
        "facts": {name: value for name, value in facts.items() if value},
        "more": {name: _json(value) for name, value in more.items() if value},
    }


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def visible(value: Any) -> Any:
    """Text without what steers a terminal or turns the direction of a line; other values as they are."""
    return value.translate(STEERING) if type(value) is str else value


@cache
def _template() -> "Template":
    """The page's template; a name that it uses and does not get is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters["seconds"] = lambda value: f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    return environment.get_template("page.html")
