"""The house stands as ARCHITECTURE.md says: imports go down only, and the command line starts light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "longcat_eval"
FLOORS = ["cli", "reports", "tasks", "runners", "model_backend", "ground"]
HEAVY = """
    torch transformers datasets scipy numpy openai docker tau2 vita swebench matplotlib aiohttp pydantic
    huggingface_hub pyarrow math_verify sympy xllamacpp yaml jinja2 zstandard
"""


def floor(module: str) -> int:
    """The floor of a module of ours, counted from the top."""
    parts = module.split(".")
    return FLOORS.index(parts[1]) if len(parts) > 1 and parts[1] in FLOORS else FLOORS.index("ground")


def imports(path: Path) -> set[str]:
    """Every module of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("longcat_eval.")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    if path.name == "__main__.py":
        return
    here = floor("longcat_eval." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    up = [name for name in imports(path) if floor(name) < here]
    assert not up, f"{path.relative_to(PACKAGE)} reaches up to {up}"


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"{code}\nimport sys; print(); print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_command_line_starts_light() -> None:
    assert not loaded_by("import longcat_eval.cli.main") & set(HEAVY.split())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['longcat-eval', 'run', '--help']\n"
        "from longcat_eval.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    pass"
    )
    typer_own = {"pydantic"}
    assert not loaded_by(code) & set(HEAVY.split()) - typer_own


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_nothing_happens_at_import() -> None:
    """Importing every module starts no process, opens no socket and writes no file.

    torch makes its compiler's cache folder when transformers imports that compiler, and joblib, where it is
    installed, opens /dev/null.
    """
    modules = [
        "longcat_eval." + ".".join(p.relative_to(PACKAGE).with_suffix("").parts)
        for p in sorted(PACKAGE.rglob("*.py"))
        if p.name not in ("__main__.py", "__init__.py")
    ]
    script = (
        "import sys\n"
        "def watch(event, args):\n"
        "    writes = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')\n"
        "    ours = writes and not str(args[0]).endswith('.pyc') and '__pycache__' not in str(args[0])\n"
        "    if ours or event in ('socket.connect', 'subprocess.Popen', 'os.mkdir'):\n"
        "        theirs = any(mark in str(args) for mark in ('__pycache__', 'torchinductor', '/dev/null'))\n"
        "        if not theirs: raise SystemExit(f'{event} {args}')\n"
        "sys.addaudithook(watch)\n"
        "import importlib\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
