"""Write docs/cli.md from the command line itself; a test checks that the page is up to date."""

from pathlib import Path

from longcat_eval.cli.main import app
from longcat_eval.cli.settings import FIELDS, FILE_ONLY
from longcat_eval.errors import ExitCode

PAGE = Path(__file__).with_name("cli.md")
EXIT_CODES = {
    ExitCode.OK: "everything asked for has a valid result",
    ExitCode.GATE_FAILED: "gate failed",
    ExitCode.USAGE: "the command, a flag or a file is wrong; nothing was started",
    ExitCode.INCOMPLETE: "incomplete: attempts without a valid result, or a member of the suite did not run",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.ENVIRONMENT: "the environment is not usable: endpoint, key, data, disk, an extra",
    ExitCode.INTERRUPTED: "interrupted; state saved, the command that goes on is printed",
}


def reference() -> str:
    """The page as text."""
    lines = ["# The command line", "", "Written by `make docs` from the code.", "", "## Commands", ""]
    lines += ["| command | what it does |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in commands()]
    lines += ["", "## Settings of `run` (and of `doctor` and `config show`)", ""]
    lines += [
        "Each is a flag, an environment variable `LONGCAT_EVAL_<NAME>`, and a key of a YAML file given with "
        "`--config`. Precedence: flag, environment, file, preset, default; `config show` prints where each "
        "value came from.",
    ]
    for panel in dict.fromkeys(f.metadata["panel"] for f in FIELDS.values()):
        lines += ["", f"### {panel[0].upper()}{panel[1:]}", "", "| key | flag | meaning |", "|---|---|---|"]
        for name, field in FIELDS.items():
            if field.metadata["panel"] == panel:
                flags = ", ".join(f"`{flag}`" for flag in field.metadata["flags"])
                flags = flags or f"`--set {name}…`" if panel == FILE_ONLY else flags
                lines.append(f"| `{name}` | {flags} | {field.metadata['help']} |")
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {text} |" for code, text in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def commands() -> list[tuple[str, str]]:
    """Every command by its full name, with the first sentence of its help."""
    found = [(c.name or _name(c.callback), _help(c.callback)) for c in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        members = group.typer_instance.registered_commands
        found += [(f"{group.name} {command.name}", _help(command.callback)) for command in members]
    return found


def _name(callback: object) -> str:
    return getattr(callback, "__name__", "").replace("_", "-")


def _help(callback: object) -> str:
    return " ".join((getattr(callback, "__doc__", None) or "").split())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
