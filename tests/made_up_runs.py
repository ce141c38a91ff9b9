"""Run directories with transcripts, made by the writer that `run` uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longcat_eval.records import (
    AttemptKey,
    AttemptRow,
    Call,
    Completion,
    Message,
    Outcome,
    TaskProtocol,
    ToolCall,
    Transcript,
    Usage,
)
from longcat_eval.runners.manifest import DatasetRecord, Invocation, Manifest, RoleRecord, TaskRecord
from longcat_eval.runners.store import RunWriter

HOSTILE = (
    "</script></style></title>--><img src=x onerror=\"document.title='PWNED'\">"
    "<script>document.title='PWNED'</script><svg onload=alert(1)><a href=\"javascript:alert(1)\">x</a>"
    "{{ 7*7 }}{% raw %}${alert(1)}\u202egnp\x1b[31m\u2028'\"`<!--<script>"
)
"""What a model that means harm might say: ends of elements, events, templates, steering characters."""

MakeRun = Callable[..., Path]


def transcript_of(key: AttemptKey, said: str, artifacts: Mapping[str, Any] | None = None) -> Transcript:
    """A system and a user message, a tool call and its result, and `said`."""
    call = ToolCall("c1", "bash", '{"command": "ls"}')
    first = Message("assistant", "I look.", tool_calls=(call,))
    opening = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Asked {said}"}]
    result = {"role": "tool", "tool_call_id": "c1", "content": f"Error {said}"}
    calls = [
        Call("agent", 0, {"messages": opening, "seed": 1}, Completion(first, "tool_calls", Usage(9, 3), 1.0)),
        Call(
            "agent",
            1,
            {"messages": [first.wire(), result], "seed": 2},
            Completion(Message("assistant", said, reasoning=said), "stop", Usage(20, 5), 2.0),
            shared=2,
        ),
    ]
    return Transcript(key, calls, dict(artifacts or {}))


def runs_in(folder: Path) -> MakeRun:
    """Makes run directories in `folder`.

    `tasks` are questions x repeats by task; `word` is in every name, answer and text.
    Of each benchmark, question 0 is right in all repeats, question 1 lost to the endpoint in repeat 0, and
    every third of the others is right. `said(task, question, repeat)` is the last reply.
    """

    def make(
        tasks: Mapping[str, tuple[int, int]],
        name: str = "run",
        *,
        word: str = "",
        said: Callable[[str, int, int], str] | None = None,
        artifacts: Mapping[str, Any] | None = None,
        groups: tuple[str, ...] = ("",),
    ) -> Path:
        path = folder / name
        writer = RunWriter(path)
        writer.open()
        for task, (n, k) in tasks.items():
            for i in range(n):
                for j in range(k):
                    key = AttemptKey(task, f"q{i:03d}{word}", j)
                    text = said(task, i, j) if said else f"reply to {i} {word}"
                    lost = (i, j) == (1, 0)
                    row = AttemptRow(
                        task=task,
                        sample=key.sample,
                        repeat=j,
                        group=groups[i % len(groups)],
                        outcome=Outcome.ENDPOINT_ERROR if lost else Outcome.ANSWERED,
                        reason=f"http_503{word}" if lost else "",
                        value=None if lost else float(i % 3 == 0),
                        extracted=None if lost else f"A{word}",
                        rule="boxed",
                        prompt_tokens=29,
                        completion_tokens=8,
                        cost=0.5,
                        seconds=float(i + 1),
                        calls=2,
                        error=f"busy {word}" if lost else "",
                        time=f"2026-01-01T00:{i % 60:02d}:{j:02d}",
                    )
                    writer.append(row, transcript_of(key, text, artifacts))
        writer.write_manifest(_manifest(tasks, word))
        writer.close()
        return path

    return make


def _manifest(tasks: Mapping[str, tuple[int, int]], word: str) -> Manifest:
    records = {}
    for task, (n, k) in tasks.items():
        metric = "acc" if k == 1 else f"avg@{k}"
        protocol = TaskProtocol(
            name=f"{task}/1", repeats=k, metric=metric, max_tokens=16, prompt_hash="ab" * 32, grader="g/1"
        )
        data = DatasetRecord(source="toy", revision="r1", sha256="cd" * 32, items=n)
        records[task] = TaskRecord(
            protocol=protocol, dataset=data, selected=n, repeats=k, floors={"chance": 0.25}
        )
    start = Invocation(
        started="2026-01-01T00:00:00+00:00",
        argv=["run", word],
        version="0.1.0",
        python="3.12.1",
        packages={"aiohttp": "3"},
        git_commit="0123456789abcdef",
        git_dirty=False,
        host="box",
        settings={},
    )
    return Manifest(
        model=f"toy-model{word}",
        suite=None,
        seed=7,
        roles={"agent": RoleRecord(name="toy", kind="endpoint", endpoint="http://127.0.0.1:1/v1")},
        tasks=records,
        not_run={f"other{word}": f"install {word}"} if word else {},
        first_requests={"toy/agent": {"messages": [{"role": "user", "content": word}]}},
        invocations=[start],
    )
