"""The extractor's programs: what models write runs, what reaches out does not."""

import asyncio
from pathlib import Path

import pytest

from longcat_eval.runners.workers import WorkerPool
from longcat_eval.tasks.meeseeks.code_runner import extract, run

REPLY = "以下是评论：1. 茶很香\n2. 水很清（注）\n3. 春天好。以上。"


def body(*lines: str) -> str:
    """The usual frame around some lines."""
    return "def extract_info_list(model_response):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("program", "parts"),
    [
        (body("return [model_response]"), [REPLY]),
        (
            "```python\n"
            + body(
                "cleaned_text = re.sub(r'^.*评论：|以上.*$', '', model_response, flags=re.DOTALL)",
                "cleaned_text = cleaned_text.replace('（注）', '')",
                "if cleaned_text:",
                "    comments = re.findall(r'(\\d+\\.\\s*.*?)(?=\\d+\\.|$)', cleaned_text, re.DOTALL)",
                "    return [c.strip() for c in comments]",
                "return []",
            )
            + "```",
            ["1. 茶很香", "2. 水很清", "3. 春天好。"],
        ),
        ("import re\n" + body("return list(map(str.strip, model_response.split('\\n')))"), REPLY.split("\n")),
        (
            body(
                "parts = []",
                "for i, line in enumerate(model_response.splitlines()):",
                "    found = re.search(r'\\d\\.(?P<text>.*)', line)",
                "    if found and i >= 0:",
                "        parts.append(f\"{found.group('text').strip()}\")",
                "    else:",
                "        parts += ['']",
                "return sorted(parts, key=lambda part: len(part), reverse=True)",
            ),
            ["水很清（注）", "春天好。以上。", "茶很香"],
        ),
        (
            body(
                "pattern = re.compile('茶|水|春')",
                "spans = {m.group(): m.start() for m in pattern.finditer(model_response)}",
                "spans['x'] = -1",
                "try:",
                "    del spans['y']",
                "except KeyError:",
                "    pass",
                "first, *rest = [key for key, place in spans.items() if place > 0]",
                "return [first, *rest]",
            ),
            ["茶", "水", "春"],
        ),
    ],
)
def test_what_models_write_runs(program: str, parts: list[str]) -> None:
    assert sorted(run(program, REPLY)) == sorted(parts)


HOSTILE = {
    "import": "import os\n" + body("return [os.getcwd()]"),
    "import inside": body("import subprocess", "return [subprocess.getoutput('id')]"),
    "from": "from os import system\n" + body("return [str(system('touch MARK'))]"),
    "dunder import": body("return [str(__import__('os').system('touch MARK'))]"),
    "builtins": body("return [str(__builtins__)]"),
    "open": body("open('MARK', 'w').write('x')", "return []"),
    "eval": body("return [eval('1')]"),
    "exec": body("exec('x = 1')", "return []"),
    "classes": body("return [str(().__class__.__base__.__subclasses__())]"),
    "class of a text": body("return [str(''.__class__)]"),
    "getattr": body("return [str(getattr('', '__class__'))]"),
    "type": body("return [str(type(''))]"),
    "format": body("return ['{0.__class__}'.format(model_response)]"),
    "format of the class": body("return [str.format('{0.__class__}', model_response)]"),
    "format_map": body("return ['{a.__class__}'.format_map({'a': 1})]"),
    "mro": body("return [str(str.mro())]"),
    "the module re": body("return [str(re.enum.sys.modules)]"),
    "the namespace of re": body("return [str(re.__dict__)]"),
    "globals of a function": body("return [str(extract_info_list.__globals__)]"),
    "frames": body("g = (g.gi_frame.f_back for _ in [1])", "return list(g)"),
    "code of a function": body("extract_info_list.__code__ = None", "return []"),
    "writes to re": body("re.sub = None", "return []"),
    "a class of its own": "class A:\n    pass\n" + body("return [A()]"),
    "no function": "parts = []",
    "no program": "好的，我来提取。",
    "wrong name": "def f(model_response):\n    return []",
    "wrong type": body("return model_response"),
    "wrong elements": body("return [1, 2]"),
    "its own list": body("return [[model_response]]"),
    "exits": body("raise SystemExit"),
    "exits by interrupt": body("raise KeyboardInterrupt"),
    "catches all": body("try:", "    open('MARK', 'w')", "except:", "    pass", "return 1"),
    "raises": body("return [1 / 0]"),
    "deep": body("return [" + "(" * 300 + "1" + ")" * 300 + "]"),
    "deeper": "(" * 100_000,
    "recursion": body("return extract_info_list(model_response)"),
    "too many": body("return ['x'] * 6_000"),
    "too long": body("return ['x' * 2_000_000]"),
    "a byte of null": "\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_broken_program_is_no_part(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts, why = extract(HOSTILE[name], REPLY)
    assert (parts, why.startswith("the extractor's program ")) == (None, True)
    assert list(tmp_path.iterdir()) == []


def test_the_door_closes_on_files_even_where_the_language_has_a_hole(tmp_path: Path) -> None:
    """A program that got hold of `open` all the same meets the audit hook."""
    from longcat_eval.tasks.meeseeks import code_runner

    with pytest.raises(PermissionError, match="open is not for programs"), code_runner._closed():
        (tmp_path / "x").open("w")
    assert not (tmp_path / "x").exists()
    (tmp_path / "x").write_text("the door is open again")


async def test_a_program_that_does_not_end_is_killed_and_the_next_one_runs() -> None:
    pool = WorkerPool(1)
    function = "longcat_eval.tasks.meeseeks.code_runner:extract"
    endless = body("while True:", "    pass")
    backtracking = body("return re.findall('(a+)+$', 'a' * 60 + 'b')")
    try:
        for program in (endless, backtracking):
            with pytest.raises(Exception, match="took longer"):
                await pool.call(function, program, REPLY, seconds=1.5)
        assert await pool.call(function, body("return ['茶']"), REPLY) == [["茶"], ""]
    finally:
        await asyncio.shield(pool.close())
