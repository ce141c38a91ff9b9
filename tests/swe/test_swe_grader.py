"""The official grader in a worker: logs with known verdicts, its own imports, and logs that would kill it."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_repair

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import WorkerError
from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.swe import package
from longcat_eval.tasks.swe.data import official_row, to_sample
from longcat_eval.tasks.swe.grader import ADAPTER, Grader
from longcat_eval.tasks.swe.package import Swebench, cached_package, find_swebench, is_known

SAMPLE = to_sample(toy_repair.row("0" * 40, "toy:1"))
LOG = """+ : '>>>>> Start Test Output'
+ python3 -m pytest -rA test_calc.py
{lines}
+ SWEBENCH_TEST_EXIT_CODE={code}
+ : '>>>>> End Test Output'
>>>>> Test Exit Code: {code}
"""
ADD, MEAN = "PASSED test_calc.py::test_add", "PASSED test_calc.py::test_mean"


def log(*lines: str, code: int = 0) -> str:
    return LOG.format(lines="\n".join(lines), code=code)


@pytest.mark.parametrize(
    ("text", "resolved", "ran", "infra", "environment"),
    [
        (log(ADD, MEAN), True, True, "", False),
        (log(ADD, "FAILED test_calc.py::test_mean - assert", code=1), False, True, "", False),
        (log(ADD), False, True, "", False),
        (log(ADD, MEAN, code=1), False, False, "", False),
        (log(ADD, "SKIPPED test_calc.py::test_mean"), False, True, "", False),
        ("", False, False, "", False),
        (log("Cannot allocate memory", code=137), False, False, "out_of_memory", True),
        (log("no tests ran", code=5), False, False, "no_tests_collected", False),
        (">>>>> Tests Timed Out\n" + log(ADD, MEAN), False, False, "", False),
    ],
)
async def test_verdicts_are_the_official_ones(
    grader: Grader,
    workers: WorkerPool,
    text: str,
    resolved: bool,
    ran: bool,
    infra: str,
    environment: bool,
) -> None:
    verdict = await grader.verdict(SAMPLE, text, workers)
    assert verdict[:4] == (resolved, ran, infra, environment)
    assert (verdict.fail_to_pass.total, verdict.pass_to_pass.total) == (1, 1)


async def test_odd_bytes_do_not_matter(grader: Grader, workers: WorkerPool) -> None:
    text = log(b"\xff\x00\x1b[31m\xe4".decode("utf-8", "replace"), ADD, MEAN, "日本\u2028")
    assert (await grader.verdict(SAMPLE, text, workers)).resolved


async def test_rows_that_swebench_cannot_grade_are_named(grader: Grader, workers: WorkerPool) -> None:
    bad = {"log_parser": "parse_log_x", "eval_type": "y", "eval_script": "#!/bin/bash\npytest\n"}
    rows = [to_sample({**toy_repair.row("0" * 40, "toy:1"), name: value}) for name, value in bad.items()]
    found = await grader.unusable_rows([SAMPLE, *rows], workers)
    assert len(found) == 5
    assert "no log parser 'parse_log_x'" in found[0]
    assert "no eval_type 'y'" in found[1]
    assert "no '>>>>> Start Test Output' in its eval_script" in found[2]


async def test_a_log_that_takes_too_long_is_given_up(grader: Grader, workers: WorkerPool) -> None:
    slow = to_sample({**toy_repair.row("0" * 40, "toy:1"), "log_parser": "parse_log_sympy"})
    text = log("_" * 400_000 + "\n" * 400_000)
    started = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        await workers.call(
            f"{ADAPTER}:read_log", str(grader.source.folder), official_row(slow), text * 20, seconds=0.5
        )
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 10
    assert (await grader.verdict(SAMPLE, log(ADD, MEAN), workers)).resolved, "the next call has a new worker"


async def test_memory_is_bounded_while_a_log_is_read(grader: Grader, workers: WorkerPool) -> None:
    """Under the cap of 2 GiB a log of 64 MiB is read; the cap is gone afterwards."""
    verdict = await grader.verdict(SAMPLE, log(ADD, MEAN, "x" * (60 << 20)), workers)
    assert verdict.resolved
    limit = await workers.call("resource:getrlimit", 9)
    assert limit[0] != 2 << 30


def test_nothing_heavy_is_imported_and_nothing_is_left_in_its_place(swebench: Swebench) -> None:
    """dotenv would read a .env, datasets and modal are 400 MB: none is touched, none stays replaced."""
    code = (
        "import sys, json\n"
        f"from {ADAPTER} import eval_script\n"
        "before = set(sys.modules)\n"
        "eval_script(sys.argv[1], json.loads(sys.argv[2]))\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'datasets', 'modal', 'docker', 'dotenv', 'tqdm', 'pandas', 'requests'}))\n"
    )
    row = json.dumps(official_row(SAMPLE))
    done = subprocess.run(
        [sys.executable, "-c", code, str(swebench.folder), row], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_versions() -> None:
    assert all(map(is_known, ("5.0.2", "5.0.3", "5.1", "5.10.0rc1")))
    assert not any(map(is_known, ("5.0.1", "4.1.0", "6.0.0", "", "dev")))


def test_without_the_package_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentUnusableError, match="swebench is not here: `longcat-eval fetch swebench`"):
        find_swebench()
    (cached_package() / "swebench").mkdir(parents=True)
    with pytest.raises(EnvironmentUnusableError, match=r"RECORD in .* is damaged: `longcat-eval fetch"):
        find_swebench()
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnusableError, match=r"pip install 'longcat-eval\[swe\]'"):
        find_swebench()


def test_an_installed_one_does_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_swebench: Path
) -> None:
    for name in ("swebench", f"swebench-{package.VERSION}.dist-info"):
        (tmp_path / name).symlink_to(real_swebench / name, target_is_directory=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = find_swebench()
    assert (found.version, found.folder) == ("5.0.2", tmp_path)

    async def verdict() -> bool:
        pool = WorkerPool(1)
        try:
            return (await Grader(found).verdict(SAMPLE, log(ADD, MEAN), pool)).resolved
        finally:
            await pool.close()

    assert asyncio.run(verdict())
