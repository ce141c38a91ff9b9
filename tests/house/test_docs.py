"""What the documents say is true."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_command_reference_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == module.reference(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for path in re.findall(r"`((?:longcat_eval|tests|docs|benchmarks)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_shown_exist(page: Path) -> None:
    from longcat_eval.cli.main import app
    from longcat_eval.cli.settings import FIELDS

    names = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    names |= {str(g.name) for g in app.registered_groups}
    flags = {flag for f in FIELDS.values() for flag in f.metadata["flags"]} | {"--config", "--help"}
    for line in re.findall(r"^ {4}longcat-eval (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        words = line.split("#")[0].split()
        assert words[0] in names, f"{page.name}: longcat-eval {line}"
        if words[0] == "run":
            for word in words:
                if word.startswith("-"):
                    assert word in flags, f"{page.name}: {word} in: longcat-eval {line}"
