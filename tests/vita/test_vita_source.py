"""What importing a checkout does and does not do, in processes of their own, and how its files are known."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vita_play import STAND_IN

from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.vita.source import (
    ENDINGS,
    TOOLKITS,
    blob_id,
    find_source,
    known_files,
    read_tasks,
)


def python(code: str, root: Path) -> Any:
    """Run `code` in a process of its own, `source` at hand; return what it prints as JSON."""
    script = f"""
import json, os, sys
from pathlib import Path
from types import ModuleType
from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.vita.importing import import_vita
from longcat_eval.tasks.vita.source import find_source
source = find_source(DataOptions(sources={{"vita": Path({str(root)!r})}}))
{code}
"""
    environment = {**os.environ, "VITA_MODEL_CONFIG_PATH": str(root / "src" / "vita" / "models.yaml")}
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def refused(before: str, root: Path) -> str:
    """The one line with which `import_vita` refuses; nothing of the checkout is left then."""
    code = """
try:
    import_vita(source)
except EnvironmentUnusableError as error:
    print(json.dumps([str(error), sorted(name for name in sys.modules if name.startswith("vita."))]))
"""
    message, left = python(before + code, root)
    assert "\n" not in message
    assert not left
    return str(message)


def test_importing_prints_nothing_and_reads_no_keys() -> None:
    code = """
path, environment = list(sys.path), dict(os.environ)
import_vita(source)
import_vita(source)
assert sys.path == path and dict(os.environ) == environment
import vita.config, vita.domains.ota.environment as ota
print(json.dumps([vita.config.MODELS, ota.__file__, "requests" in sys.modules]))
"""
    models, file, requests = python(code, STAND_IN)
    assert models == []
    assert Path(file).is_relative_to(STAND_IN)
    assert not requests


def test_another_package_of_the_name_is_told() -> None:
    message = refused('sys.modules["vita"] = ModuleType("vita")', STAND_IN)
    assert "a package vita that is not VitaBench is imported already" in message
    assert "pip uninstall vita" in message


def test_a_process_holds_one_checkout(tmp_path: Path) -> None:
    other = shutil.copytree(STAND_IN, tmp_path / "other")
    code = f"""
import_vita(source)
try:
    import_vita(find_source(DataOptions(sources={{"vita": Path({str(other)!r})}})))
except EnvironmentUnusableError as error:
    print(json.dumps(str(error)))
"""
    assert "a process can hold one" in python(code, STAND_IN)


@pytest.mark.parametrize(
    ("module", "words"),
    [("thefuzz", "pip install 'longcat-eval[vita]'"), ("pandas", "which is not in longcat-eval[vita]")],
)
def test_a_missing_module_is_named_with_its_remedy(tmp_path: Path, module: str, words: str) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    (root / "src" / "vita" / "utils" / "utils.py").write_text(f"import {module}")
    tasks = root / "src" / "vita" / "data_model" / "tasks.py"
    tasks.write_text(f"import vita.utils.utils\n{tasks.read_text()}")
    message = refused(f"sys.modules[{module!r}] = None", root)
    assert module in message
    assert words in message


def test_a_blob_id_is_gits_own(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes("面\r\n".encode())
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", file], capture_output=True, text=True, check=True
    )
    assert blob_id(file) == done.stdout.strip()


def test_the_known_files_are_tasks_of_all_domains_and_their_code() -> None:
    known = known_files()
    assert len(known) == len(set(known.values())) == 37
    parts = [domain.replace("-", "_") for domain in TOOLKITS]
    assert {name for name in known if name.startswith("data/")} == {
        f"data/vita/domains/{part}/tasks{ending}.json" for part in parts for ending in ENDINGS.values()
    }


def test_a_checkout_says_its_commit(tmp_path: Path) -> None:
    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert find_source(DataOptions(sources={"vita": root})).version == f"checkout mine at {commit[:12]}"


def test_tasks_of_a_data_folder_go_before_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = find_source(DataOptions(sources={"vita": STAND_IN}))
    file = tmp_path / "vitabench" / "ota" / "tasks_en.json"
    file.parent.mkdir(parents=True)
    file.write_text('[{"id": "mine"}]')
    assert read_tasks(source, "ota", "english", DataOptions(tmp_path)).rows == [{"id": "mine"}]
    assert len(read_tasks(source, "ota", "chinese", DataOptions(tmp_path)).rows) == 2
    monkeypatch.setenv("LONGCAT_EVAL_DATA", str(tmp_path))
    assert read_tasks(source, "ota", "english", DataOptions()).rows == [{"id": "mine"}]


def test_the_hash_covers_tasks_and_code(tmp_path: Path) -> None:
    def sha256(root: Path, domain: str) -> str:
        source = find_source(DataOptions(sources={"vita": root}))
        return read_tasks(source, domain, "chinese", DataOptions()).sha256

    root = shutil.copytree(STAND_IN, tmp_path / "mine")
    before = {domain: sha256(root, domain) for domain in TOOLKITS}
    assert len(set(before.values())) == 4
    (root / "src" / "vita" / "domains" / "ota" / "environment.py").write_text("changed = True")
    after = {domain: sha256(root, domain) for domain in TOOLKITS}
    assert {domain for domain in TOOLKITS if after[domain] != before[domain]} == {"ota", "cross-domain"}
