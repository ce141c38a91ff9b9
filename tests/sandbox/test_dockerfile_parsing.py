"""Dockerfiles are read as BuildKit reads them: lines, flags, heredocs, stages, variables."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.runners.sandbox.build_context import context_matches
from longcat_eval.runners.sandbox.dockerfile import assign, external_images, heredoc_word, parse, stages
from longcat_eval.runners.sandbox.dockerfile_words import expand, split_words

TEXT = st.text(alphabet="aZ0 \t\\`'\"$${}<>-#=:\n\r[],/é", max_size=60)


def read(text: str) -> list[tuple[str, str]]:
    return [(one.keyword, one.rest) for one in parse(text).instructions]


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("FROM a\nrun x", [("FROM", "a"), ("RUN", "x")]),
        ("\ufeffFROM a", [("FROM", "a")]),
        ("FROM a\r\nRUN x\r\n", [("FROM", "a"), ("RUN", "x")]),
        ("RUN a \\\n  b", [("RUN", "a   b")]),
        ("RUN a \\  \n b", [("RUN", "a  b")]),
        ("RUN a \\\n# comment\n\n  # other\n b\nUSER c", [("RUN", "a  b"), ("USER", "c")]),
        ("RUN echo \\\\\nUSER c", [("RUN", "echo \\\\"), ("USER", "c")]),
        ("# escape=`\nRUN a `\n b\\\nUSER c", [("RUN", "a  b\\"), ("USER", "c")]),
        ("# plain\n# escape=`\nRUN a \\\n b", [("RUN", "a  b")]),
        ("RUN a \\", [("RUN", "a")]),
        ("# only\n\n", []),
        ("RUN a\vb\x85c\u2028d", [("RUN", "a\vb\x85c\u2028d")]),
    ],
)
def test_lines_are_joined(text: str, read_as: list[tuple[str, str]]) -> None:
    assert read(text) == read_as


def test_flags_stand_apart() -> None:
    one = parse("COPY --from=x \\\n --chown=a:b --link src --dst").instructions[0]
    assert (one.flags, one.rest) == (("--from=x", "--chown=a:b", "--link"), "src --dst")
    assert (one.flag("from"), one.flag("link"), one.flag("chmod")) == ("x", "", None)
    assert parse("RUN -- --x").instructions[0].rest == "--x"
    assert parse("ONBUILD RUN --mount=type=cache,target=/x y").instructions[0].onbuild


@pytest.mark.parametrize(
    ("word", "read_as"),
    [
        ("<<EOF", ("EOF", True, False)),
        ("<<-EOF", ("EOF", True, True)),
        ("3<<EOF", ("EOF", True, False)),
        ("<<'EOF'", ("EOF", False, False)),
        ('<<-"EOF"', ("EOF", False, True)),
        ("<<E\\OF", ("EOF", False, False)),
        ("<<", None),
        ("<<-", None),
        ("<<<EOF", None),
        ("cat<<EOF", None),
        ("<<''", None),
    ],
)
def test_heredoc_words(word: str, read_as: tuple[str, bool, bool] | None) -> None:
    assert heredoc_word(word) == read_as


def test_heredocs_are_taken_out_in_their_order() -> None:
    text = (
        "COPY <<a <<-'b' /d/\nx $Y\na\n\t\tz\n\tb\nRUN cat <<E | sh\necho 1\nE\nRUN echo $((1<<2))\nUSER u\n"
    )
    copy, run, shift, user = parse(text).instructions
    assert [(h.name, h.text, h.expands) for h in copy.heredocs] == [
        ("a", "x $Y\n", True),
        ("b", "z\n", False),
    ]
    assert copy.heredocs[1].content == "\t\tz\n"
    assert run.heredocs[0].content == "echo 1\n"
    assert not shift.heredocs
    assert (user.rest, user.line) == ("u", 10)


def test_a_heredoc_without_an_end_is_none() -> None:
    assert read("RUN echo $(( 1 <<2 ))\nUSER u") == [("RUN", "echo $(( 1 <<2 ))"), ("USER", "u")]
    assert read('RUN python -c "1 <<2"\n2\nUSER u')[1] == ("2", "")


def test_stages_and_what_they_take_from_outside() -> None:
    text = (
        "ARG V=3.9\nARG T=$V-slim\nFROM --platform=$TARGETPLATFORM python:${T} AS Base\n"
        "FROM base AS two\nCOPY --from=Base /a /b\nCOPY --from=0 /a /b\nCOPY --from=other/x:1 /a /b\n"
        "FROM scratch\nFROM ubuntu:${MISSING:-24.04}\n"
    )
    file = parse(text)
    found = stages(file, {"TARGETPLATFORM": "linux/amd64"})
    assert [(s.reference, s.stage, s.external) for s in found] == [
        ("python:3.9-slim", "base", True),
        ("base", "two", False),
        ("scratch", "", False),
        ("ubuntu:24.04", "", True),
    ]
    assert found[0].platform == "linux/amd64"
    assert external_images(file, {}) == ("python:3.9-slim", "ubuntu:24.04", "other/x:1")
    assert external_images(file, {"V": "3.8"})[0] == "python:3.8-slim"


@pytest.mark.parametrize(
    ("text", "expanded", "unknown"),
    [
        ("$A/${A}b", "1/1b", set()),
        ("${A:-x},${E:-x},${E-x},${N:-x}", "1,x,,x", {"N"}),
        ("${A:+x},${E:+x},${E+x},${N+x}", "x,,x,", {"N"}),
        ("${N:-${A}}$N", "1", {"N"}),
        ("'$A'\"$A\"\\$A", "$A1$A", set()),
        ('"a\\n\\"" \\n', 'a\\n" n', set()),
        ("a$ $", "a$ $", set()),
        ("$AB", "", {"AB"}),
    ],
)
def test_variables(text: str, expanded: str, unknown: set[str]) -> None:
    done = expand(text, {"A": "1", "E": ""})
    assert (done.text, set(done.unknown)) == (expanded, unknown)


def test_forms_of_variables_that_are_refused() -> None:
    assert expand("${A#x}", {"A": "1"}).refused == {"${A#x}"}
    assert expand("${N:?say it}", {}).refused == {"${N:?say it}"}
    assert expand("${A:?say it}", {"A": "1"}) == expand("$A", {"A": "1"})
    assert expand("${A", {"A": "1"}).refused


def test_env_in_both_forms() -> None:
    values = {"B": "2"}
    assert {n: v.text for n, v in assign('A=1 C="x y" D=a\\ b E=$A$B', values, "\\").items()} == {
        "A": "1",
        "C": "x y",
        "D": "a b",
        "E": "2",
    }
    assert assign("A x  y $B", values, "\\")["A"].text == "x  y 2"


@settings(deadline=None)
@given(TEXT)
def test_any_text_is_read(text: str) -> None:
    file = parse(text)
    for one in file.instructions:
        assert one.raw in text.removeprefix("\ufeff")
    stages(file, {})
    external_images(file, {})


@settings(deadline=None)
@given(TEXT)
def test_words_lose_nothing_but_blanks(text: str) -> None:
    joined = "".join(split_words(text))
    assert "".join(joined.split()) == "".join(text.split())


@settings(deadline=None)
@given(TEXT, st.dictionaries(st.sampled_from("aZ"), TEXT))
def test_any_text_expands(text: str, values: dict[str, str]) -> None:
    expand(text, values)
    plain = text.translate(dict.fromkeys(map(ord, "$\\'\"")))
    assert expand(plain, values).text == plain


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab $\\'\"\t<E", max_size=8), max_size=5), st.booleans())
def test_a_quoted_heredoc_comes_out_as_it_went_in(lines: list[str], chomps: bool) -> None:
    content = "".join(f"{line}\n" for line in lines)
    opened = "<<-'EOF'" if chomps else "<<'EOF'"
    one, user = parse(f"COPY {opened} /x\n{content}EOF\nUSER u").instructions
    assert one.heredocs[0].content == content
    assert not one.heredocs[0].expands
    assert user.keyword == "USER"


def test_sources_that_mean_several_files(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.txt", "sub/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert context_matches(tmp_path, "*.py") == ["a.py", "b.py"]
    assert context_matches(tmp_path, "/[^a].py") == ["b.py"]
    assert context_matches(tmp_path, "s*") == ["sub/"]
    assert context_matches(tmp_path, "./sub/") == ["./sub/"]
    assert context_matches(tmp_path, "none*") == ["none*"]
