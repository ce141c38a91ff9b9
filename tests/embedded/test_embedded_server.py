import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import ask
from cli_fixtures import Cli

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend import embedded
from longcat_eval.model_backend.embedded import LOGS_KEPT, EmbeddedServer, new_log
from longcat_eval.model_backend.resolve import ModelOptions, open_model, resolve_model
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import Outcome, Request


async def opened(weights: Path) -> Model:
    return await open_model(resolve_model(ModelOptions(), env={"LONGCAT_EVAL_DEMO_MODEL": str(weights)}))


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(pid)


def drawn(text: str, seed: int) -> Request:
    return ask(text, seed=seed, temperature=1.0, cache_prompt=False, max_tokens=16)


async def test_it_starts_answers_and_stops(tiny: Path) -> None:
    server = await EmbeddedServer.start(tiny, "tiny", slots=2)
    assert server.address.startswith("http://127.0.0.1:")
    await server.stop()
    assert server.process.returncode == 0


async def test_it_is_an_endpoint_like_any_other(tiny: Path) -> None:
    model = await opened(tiny)
    try:
        done = await model.complete(drawn("hello", 1))
        assert done.finish_reason in ("length", "stop")
        assert done.usage.completion_tokens <= 16
        assert done.usage.prompt_tokens > 5
        assert done.cost == 0.0
        assert done.served_model == "tiny"
        again = await model.complete(drawn("hello", 1))
        others = [await model.complete(drawn("hello", seed)) for seed in (2, 3)]
        assert again.text == done.text
        assert {other.text for other in others} != {done.text}
    finally:
        await model.close()


async def test_each_slot_has_the_whole_context(tiny: Path) -> None:
    model = await opened(tiny)
    try:
        fits = await asyncio.gather(*(model.complete(drawn("a" * 6000, s)) for s in range(4)))
        assert [done.usage.prompt_tokens > 6000 for done in fits] == [True] * 4
        with pytest.raises(ModelError) as caught:
            await model.complete(drawn("a" * 9000, 1))
        assert (caught.value.outcome, caught.value.reason) == (Outcome.LENGTH_LIMIT, "context")
    finally:
        await model.close()


async def test_what_cannot_be_loaded_is_one_clear_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    with pytest.raises(EnvironmentUnusableError, match=r"did not start \(exit 1\).*log") as caught:
        await EmbeddedServer.start(broken, "broken")
    assert "\n" not in str(caught.value)


async def test_a_server_that_never_is_ready_is_given_up(tiny: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"not ready after 0\.001 s"):
        await EmbeddedServer.start(tiny, "tiny", timeout=0.001)


async def test_a_server_that_dies_fails_requests_alike(tiny: Path) -> None:
    options = ModelOptions(max_tries=1)
    model = await open_model(resolve_model(options, env={"LONGCAT_EVAL_DEMO_MODEL": str(tiny)}))
    process = model.model.server.process  # type: ignore[attr-defined]
    process.send_signal(signal.SIGKILL)
    await process.wait()
    with pytest.raises(ModelError, match="server ended") as caught:
        await model.complete(drawn("hello", 1))
    assert caught.value.alike
    await model.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_the_process_that_started_it(tiny: Path, number: signal.Signals) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from longcat_eval.model_backend.embedded import EmbeddedServer\n"
        "async def main():\n"
        f"    server = await EmbeddedServer.start(Path({str(tiny)!r}), 'tiny', 1)\n"
        "    print(server.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.send_signal(number)
    assert gone(pid)


async def test_ctrl_c_at_the_terminal_does_not_reach_it(tiny: Path) -> None:
    server = await EmbeddedServer.start(tiny, "tiny", 1)
    assert os.getpgid(server.process.pid) != os.getpgid(0)
    await server.stop()


def test_logs_are_few() -> None:
    logs = [new_log() for _ in range(LOGS_KEPT + 3)]
    assert len(list(logs[0].parent.iterdir())) == LOGS_KEPT
    assert logs[-1].exists()


async def test_without_xllamacpp_the_extra_is_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnusableError, match=r"pip install 'longcat-eval\[demo\]'"):
        await opened(tiny)


def test_the_command_line_uses_it_by_itself(cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGCAT_EVAL_DEMO_MODEL", str(tiny))
    ran = cli("run", "--task", "smoke", "--limit", 4, "-o", "r", "--set", "sampling.max_tokens=16", "--plain")
    assert ran.code == 0, ran.out + ran.err
    assert "embedded in this machine" in ran.out.splitlines()[0]
    assert "tiny" in ran.out.splitlines()[0]
    doctor = cli("doctor")
    assert doctor.code == 0, doctor.out
    assert "repetition_penalty: honoured as repeat_penalty" in doctor.out


@pytest.mark.realmodel
async def test_the_real_model_says_what_one_can_read(smollm2: Path) -> None:
    model = await opened(smollm2)
    try:
        question = "What is the capital of France? Answer in one short sentence."
        done = await model.complete(ask(question, temperature=0, max_tokens=32))
    finally:
        await model.close()
    assert "Paris" in done.text
    assert done.finish_reason == "stop"
