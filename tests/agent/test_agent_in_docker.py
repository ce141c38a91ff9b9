"""The tools in a real container: what only shows there."""

import statistics

import pytest
from agent_play import bash, play

from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.runners.sandbox.container import DockerSandbox

pytestmark = pytest.mark.docker
LIMITS = AgentLimits(command_seconds=20)


async def test_the_environment_of_the_image_is_active_and_nothing_else_lasts(sandbox: DockerSandbox) -> None:
    """A `.bashrc` that runs bash, as pyenv's does, must not start itself over and over."""
    await sandbox.put("/root/.bashrc", b"export ACTIVE=$(bash -c 'echo testbed')\n")
    await sandbox.exec("mkdir -p /testbed", timeout=10)
    _, agent, _ = await play(
        bash("echo $ACTIVE; pwd; cd /; X=1"),
        bash("bash -c 'echo [$ACTIVE]'; pwd; echo [$X]"),
        sandbox=sandbox,
        limits={"steps": 3},
    )
    seen = [m["content"] for m in agent.history() if m["role"] == "tool"]
    assert seen[:2] == ["exit code 0\ntestbed\n/testbed", "exit code 0\n[testbed]\n/testbed\n[]"]


async def test_timeouts_memory_and_long_commands(sandbox: DockerSandbox) -> None:
    hungry = "head -c 2G /dev/zero | tail -n 1 | wc -c"
    _, agent, _ = await play(
        bash("echo a; sleep 30 & sleep 30", hungry, f": {'x' * 200_000}; echo long", "echo there"),
        bash("true"),
        sandbox=sandbox,
        limits={"steps": 2, "command_seconds": 5},
        workdir="/tmp",
    )
    late, oom, long, there = [m["content"] for m in agent.history() if m["role"] == "tool"]
    assert "longer than 5 s" in late
    assert "out of memory" in oom
    assert (long, there) == ("exit code 0\nlong", "exit code 0\nthere")


async def test_the_editor_on_odd_paths(sandbox: DockerSandbox) -> None:
    setup = "mkdir -p /testbed && cd /testbed && printf 'a\\n' >file && chmod 755 file && ln -s file link"
    await sandbox.exec(f"{setup} && ln -s loop loop && mkfifo pipe", timeout=10)
    profile = PROFILES["edit"]("/testbed")

    async def edit(command: str, path: str, **more: object) -> tuple[bool, str]:
        seen = await profile.act(sandbox, "editor", {"command": command, "path": path, **more}, LIMITS)
        return seen.error, seen.text

    for path in ("file/below", "loop", "pipe", "gone/file", "/proc/self/mem", "/dev/zero"):
        error, text = await edit("view", path)
        assert error, text
    assert await edit("view", ".") == (
        False,
        "/testbed is a folder. Two levels of it, without hidden files:\nfile\nlink\nloop\npipe",
    )
    assert (await edit("create", "new/ü 'x'", file_text="1\n"))[0] is False
    assert (await edit("str_replace", "link", old_str="a", new_str="b"))[0] is False
    assert await sandbox.get("/testbed/file") == b"b\n"
    told = await sandbox.exec(
        "stat -c %a file; test -L link && echo link; ls new; ls -A /tmp", timeout=10, cwd="/testbed"
    )
    assert told.output.decode() == "755\nlink\n'ü 'x''\n".replace("'ü 'x''", "ü 'x'")


async def test_an_exec_is_all_a_step_costs(sandbox: DockerSandbox) -> None:
    episode, _, _ = await play(bash("true"), sandbox=sandbox, limits={"steps": 20}, workdir="/tmp")
    commands = [command["seconds"] for command in episode.commands]
    alone = (episode.seconds - episode.model_seconds - sum(commands)) / episode.steps
    assert alone < 0.1 * statistics.median(commands)
