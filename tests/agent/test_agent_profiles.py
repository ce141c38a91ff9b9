"""What profiles tell a model, what it sees of its commands, and how it hands in."""

import pytest
from agent_play import SUBMIT_LINE, FakeSandbox, bash, play

from longcat_eval.protocols import ExecResult
from longcat_eval.runners.agent.bash_profile import submission_of
from longcat_eval.runners.agent.limits import AgentLimits, agent_limits, protocol_limits
from longcat_eval.runners.agent.observation import describe, shown
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.runners.agent.replies import fenced_blocks
from longcat_eval.tasks.prompts import prompt_hash

ALL = sorted(PROFILES)
PROBLEM = "Braces {x} and {workdir}\nand %s stay."


def done(output: bytes, code: int = 0, **how: object) -> ExecResult:
    return ExecResult(code, output, bool(how.get("late")), bool(how.get("oom")), int(how.get("lost", 0)))  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ALL)
def test_the_first_message_holds_the_problem_as_it_is(name: str) -> None:
    profile = PROFILES[name]("/src")
    text = profile.instance(PROBLEM, "/src", "Look at {y}.")
    assert PROBLEM in text
    assert "Look at {y}." in text
    assert "/src" in text
    assert "discussion" not in profile.instance(PROBLEM, "/src", " ")
    assert ("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" in text) == (name != "edit")


@pytest.mark.parametrize("name", ALL)
def test_no_prompt_speaks_of_a_language(name: str) -> None:
    """The multilingual rows are C, Java, Rust and six more."""
    profile = PROFILES[name]("/src")
    texts = "\n".join([*profile.texts, profile.instance("", "/src")]).lower()
    assert not [word for word in ("python", "pytest", "pip", ".py", "conda") if word in texts]


def test_the_prompt_hash_tells_profiles_apart_and_covers_every_text() -> None:
    made = [PROFILES[name]("/a") for name in ALL]
    assert len({prompt_hash(*profile.texts) for profile in made}) == len(made)
    for profile in made:
        texts = "\0".join(profile.texts)
        assert profile.system in texts
        assert profile.how_to in texts
        assert all(tool["function"]["description"][:40] in texts for tool in profile.tools)
        assert prompt_hash(*profile.texts) == prompt_hash(*PROFILES[profile.name]("/elsewhere").texts)


def test_names_limits_and_tools() -> None:
    assert {name: PROFILES[name]("/a").name for name in ALL} == {name: name for name in ALL}
    assert {name: PROFILES[name]("/a").limits.steps for name in ALL} == {
        "bash": 250,
        "bash-text": 250,
        "edit": 100,
    }
    assert PROFILES["bash-text"]("/a").tools == ()


def test_limits_go_through_the_protocol() -> None:
    limits = AgentLimits(7, 8, 0.5, 9.5, 10.0, 11, 2)
    written = protocol_limits(limits)
    assert agent_limits(written | {"grade_seconds": 1800.0}) == limits
    assert agent_limits({"max_steps": 3.0}) == AgentLimits(steps=3)
    assert isinstance(agent_limits({"max_steps": 3.0}).steps, int)
    assert all(isinstance(value, float) for value in written.values())


async def test_commands_run_in_the_work_directory_with_the_environment_of_the_image() -> None:
    _, _, sandbox = await play(bash("submit"), workdir="/repo")
    (how,) = sandbox.execs
    assert how["cwd"] == "/repo"
    assert how["env"]["LCEVAL_RC"] == "/root/.bashrc"
    assert how["env"]["PAGER"] == "cat"


@pytest.mark.parametrize(
    ("result", "submission"),
    [
        (done(SUBMIT_LINE + b"diff\r\n\xff\n"), b"diff\r\n\xff\n"),
        (done(b"\n  " + SUBMIT_LINE + b"diff\n\n"), b"diff\n\n"),
        (done(SUBMIT_LINE.strip() + b" \r\npatch"), b"patch"),
        (done(SUBMIT_LINE.strip()), b""),
        (done(SUBMIT_LINE + b"x" * 100, lost=7), b""),
        (done(SUBMIT_LINE + b"diff", code=1), None),
        (done(b"ok\n" + SUBMIT_LINE + b"diff"), None),
        (done(b"echo " + SUBMIT_LINE), None),
        (done(b""), None),
    ],
)
def test_what_counts_as_a_submission(result: ExecResult, submission: bytes | None) -> None:
    assert submission_of(result) == submission


async def test_a_command_that_fails_hands_nothing_in() -> None:
    failed = FakeSandbox(lambda c: done(SUBMIT_LINE + b"fatal: not a git repository\n", code=128))
    episode, _, _ = await play(bash("submit"), sandbox=failed, limits={"steps": 2})
    assert (episode.end, episode.submission) == ("steps", None)


def test_a_long_output_keeps_its_two_ends_and_says_what_is_missing() -> None:
    output = b"".join(b"%06d\n" % n for n in range(3000))
    text = shown(output, 10_000)
    assert text.startswith("000000\n")
    assert text.endswith("002999\n")
    assert "[... 11000 characters left out here ...]" in text
    assert len(text.replace("\n[... 11000 characters left out here ...]\n", "")) == 10_000
    assert shown(output[:10_000], 10_000) == output[:10_000].decode()
    assert shown(b"abcdef", 3) == "ab\n[... 3 characters left out here ...]\nf"
    assert shown(b"abcdef", 1).startswith("a\n")
    assert "[... 1011 characters left out" in shown(b"x" * 21, 10, lost=1000)


def test_characters_are_counted_and_not_bytes() -> None:
    assert shown("長い".encode() * 4, 8) == "長い" * 4


def test_any_bytes_are_shown() -> None:
    assert (
        shown(b"\xff\x00\xc3A\xed\xa0\x80\x1b[31m", 100).encode().startswith("\ufffd\ufffd\ufffdA".encode())
    )


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (done(b""), ["exit code 0\n(no output)"]),
        (done(b"a\n\n", code=3), ["exit code 3\na"]),
        (done(b"half", code=124, late=True), ["exit code 124", "longer than 60 s", "half"]),
        (done(b"", code=137, oom=True), ["exit code 137", "out of memory"]),
    ],
)
def test_how_a_command_ended_is_said_in_words(result: ExecResult, words: list[str]) -> None:
    seen = describe(result, 60.0, 10_000)
    assert all(word in seen.text for word in words)
    assert seen.error == (result.exit_code != 0)


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```bash\nls\n```", ["ls"]),
        ("First:\r\n```bash\r\nls\r\npwd\r\n```\r\n", ["ls\npwd"]),
        ("  ```bash\n  ls\n  ```", ["  ls"]),
        ("````bash\ncat <<E\n```\nE\n````", ["cat <<E\n```\nE"]),
        ("```bash\ncat <<E\n```python\nE\n```", ["cat <<E\n```python\nE"]),
        ("```bash\n    ```\n```", ["    ```"]),
        ("```python\nprint()\n```\n```bash\nls\n```", ["ls"]),
        ("```\nls\n```", []),
        ("```bash\nls", []),
        ("```bash ls```", []),
        ("say `ls` or ```ls```", []),
        ("```bash\na\n```\n```bash\nb\n```", ["a", "b"]),
        ("```bash\n```", [""]),
        ("```bash\na\x0cb\u2028c\n```", ["a\x0cb\u2028c"]),
    ],
)
def test_fenced_blocks(text: str, blocks: list[str]) -> None:
    assert fenced_blocks(text) == blocks


def test_a_long_reply_of_open_blocks_is_read_at_once() -> None:
    assert fenced_blocks("```bash\n" * 200_000) == []
