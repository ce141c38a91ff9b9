"""kill -9 and Ctrl-C at any moment: nothing finished is lost or repeated, the final table is the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from cli_fixtures import Cli, serving

from longcat_eval.runners.store import read_run

REPEATS = 25
KILLS = 20


def command(url: str, path: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "longcat_eval", "run", "--suite", "smoke", "--plain", "-k", str(REPEATS)),
        *("--model", "m", "--base-url", url, "-o", str(path), "-c", "8", *more),
    ]


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ, start_new_session=True
    )


def test_kill_nine_at_twenty_random_moments(cli: Cli, tmp_path: Path) -> None:
    moments = random.Random(KILLS)
    path, rows = tmp_path / "killed", tmp_path / "killed" / "samples.jsonl"
    with serving(latency=0.02) as server:
        for number in range(KILLS):
            process = start(command(server.base_url, path))
            enough = 40 + 900 // KILLS * number if number else 10
            deadline = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < deadline:
                if rows.exists() and rows.read_bytes().count(b"\n") >= enough:
                    break
                time.sleep(0.005)
            time.sleep(moments.random() * 0.1)
            kept = rows.read_bytes().rpartition(b"\n")[0]
            process.kill()
            process.communicate()
            assert rows.read_bytes().startswith(kept), "what was finished stays"
        assert cli(*command(server.base_url, path)[3:]).code == 0
        asked_once = read_run(path).rows
        assert len(asked_once) == len(rows.read_bytes().splitlines()), "no finished attempt is made again"
        assert all(row.tries == 1 for row in asked_once)
        assert cli(*command(server.base_url, tmp_path / "whole")[3:]).code == 0
    assert cli("report", path, "-f", "csv").out == cli("report", tmp_path / "whole", "-f", "csv").out


def test_ctrl_c_saves_and_prints_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with serving(latency=0.2) as server:
        process = subprocess.Popen(
            command(server.base_url, path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        rows = path / "samples.jsonl"
        while time.monotonic() < deadline and not (rows.exists() and rows.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "to go on: longcat-eval run --suite smoke" in out
    assert "Traceback" not in err
    assert read_run(path).rows
