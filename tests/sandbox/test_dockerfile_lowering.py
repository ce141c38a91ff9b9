"""What BuildKit alone understands is said so that any builder does the same, or named as a problem."""

import json
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.runners.sandbox.base_images import Base
from longcat_eval.runners.sandbox.dockerfile import parse
from longcat_eval.runners.sandbox.dockerfile_lowering import FLAGS, HEREDOCS, Lowered, lower

BASE = Base("base", "local/base:1", "sha256:1", environment={"PATH": "/bin", "HOME": "/root"})


def body(text: str, **options: object) -> list[str]:
    """The lowered lines after FROM; problems are not expected."""
    lowered = lower(f"FROM base\n{text}", bases={"base": BASE}, **options)  # type: ignore[arg-type]
    assert not lowered.problems
    return lowered.text.splitlines()[1:]


def problems(text: str) -> tuple[str, ...]:
    return lower(f"FROM base\n{text}", bases={"base": BASE}).problems


def files(lowered: Lowered) -> dict[str, bytes]:
    return {path: file.content for path, file in lowered.files.items()}


@pytest.mark.parametrize(
    "text",
    [
        "RUN a \\\n  # why\n  && b\n",
        "COPY a b /c/\n",
        "COPY a b\n",
        "COPY --chown=1:2 a b\n",
        'COPY ["a b", "c"]\n',
        "ADD https://x/y.tar /\n",
        'CMD ["x"]\n',
        "HEALTHCHECK --interval=5s CMD true\n",
        "ONBUILD COPY a b\n",
    ],
)
def test_what_every_builder_knows_stays_as_it_is(text: str) -> None:
    assert lower(f"FROM base\n{text}").text == f"FROM base\n{text}"


def test_comments_between_and_the_syntax_line_go() -> None:
    text = "# syntax=docker/dockerfile:1\n# escape=`\n\nFROM base # not a comment\n# a comment\nRUN a `\n b"
    assert lower(text).text == "# escape=`\nFROM base\nRUN a `\n b\n"


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("RUN <<EOF\necho 1\necho 2\nEOF\n", ["/bin/sh", "-c", "echo 1\necho 2\n"]),
        ("RUN <<-EOF\n\techo 1\nEOF\n", ["/bin/sh", "-c", "echo 1\n"]),
        ("RUN cat <<EOF > /f && b\n$A\nEOF\n", ["/bin/sh", "-c", "cat <<EOF > /f && b\n$A\nEOF"]),
        ("RUN a <<'E' 3<<F\n1\nE\n2\nF\n", ["/bin/sh", "-c", "a <<'E' 3<<F\n1\nE\n2\nF"]),
        ("RUN cat \\\n  <<EOF\n1\nEOF\n", ["/bin/sh", "-c", "cat   <<EOF\n1\nEOF"]),
    ],
)
def test_heredocs_of_run_become_the_exec_form(text: str, lowered: list[str]) -> None:
    (line,) = body(text)
    assert json.loads(line.removeprefix("RUN ")) == lowered


def test_the_shell_of_the_stage_runs_them() -> None:
    text = 'SHELL ["/bin/bash", "-ec"]\nFROM other\nRUN <<EOF\n1\nEOF\n'
    text += 'FROM base AS a\nSHELL ["z"]\nFROM a\nRUN <<E\n2\nE\n'
    base = BASE._replace(shell=("/bin/ash", "-c"))
    lowered = lower(f"FROM base\n{text}", bases={"base": BASE, "other": base})
    assert [one.rest for one in parse(lowered.text).instructions if one.keyword == "RUN"] == [
        '["/bin/ash", "-c", "1\\n"]',
        '["z", "2\\n"]',
    ]


def test_a_script_with_its_own_interpreter_runs_as_a_file() -> None:
    (line,) = body('RUN <<EOF\n#!/bin/sh\necho "it\'s $0" | wc -l\nexit 3\nEOF\n')
    words = json.loads(line.removeprefix("RUN "))
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (3, b"1", b"")


def test_a_long_script_is_broken_over_lines_that_join_again() -> None:
    script = "".join(f"echo {number} # 'x'\n" for number in range(9000))
    lines = body(f"RUN <<EOF\n{script}EOF\n")
    assert len(lines) > 2
    assert max(map(len, lines)) < 65_000
    one = parse("\n".join(lines)).instructions[0]
    assert json.loads(one.rest) == ["/bin/sh", "-c", script]


def test_heredocs_of_copy_become_files_of_a_helper_image() -> None:
    text = "ENV A=1\nARG B=2\nCOPY <<one <<-'two' rest /d\n$A${B}$HOME \\$A \\n \"q\"\none\n\t$A\\n\ntwo\n"
    lowered = lower(f"FROM base\n{text}", bases={"base": BASE})
    assert not lowered.problems
    assert files(lowered) == {"0/one": b'12/root $A n "q"\n', "1/two": b"$A\\n\n"}
    assert lowered.text.splitlines()[3:] == [
        f'COPY --from={lowered.helper} ["/0/one", "/1/two", "/d/"]',
        "COPY rest /d/",
    ]


def test_heredocs_keep_owner_and_mode() -> None:
    lowered = lower("FROM base\nCOPY --chown=a:b --chmod=755 <<x /y\n1\nx\n")
    assert lowered.files["0/x"] == (b"1\n", 0o755)
    assert lowered.text.splitlines()[1] == f'COPY --from={lowered.helper} --chown=a:b ["/0/x", "/y"]'


def test_arguments_and_variables_of_a_stage() -> None:
    text = (
        "ARG G=g\nARG H=h\nFROM base AS one\nARG G\nARG I=i\nENV J=$G$I K=k\nENV I=env\n"
        "COPY <<a /a\n$G$H$I$J$K\na\nFROM one\nCOPY <<b /b\n$G$I$J\nb\n"
    )
    lowered = lower(text, bases={"base": BASE}, args={"H": "given", "I": "given"})
    assert files(lowered) == {"0/a": b"genvggivenk\n", "1/b": b"envggiven\n"}


def test_what_only_an_unknown_base_knows_is_a_problem() -> None:
    text = "FROM base\nENV A=$X B=b\nCOPY <<f /f\n$A $B $Y\nf\n"
    assert [problem.split(":")[0] + problem.split("$")[1][0] for problem in lower(text).problems] == [
        "line 3A",
        "line 3Y",
    ]
    assert not lower(text, bases={"base": BASE}).problems


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("RUN --mount=type=cache,target=/c --network=default \\\n a", ["RUN a"]),
        ("COPY --link --from=x a b", ["COPY --from=x a b"]),
        ("COPY a b /c", ["COPY a b /c/"]),
        ('COPY ["a", "b", "c"]', ['COPY ["a", "b", "c/"]']),
        ("ADD --chown=x a b .", ["ADD --chown=x a b ./"]),
        ("COPY --chmod=755 a /b", ["COPY a /b", "RUN chmod -R 755 /b"]),
        ("COPY --chmod=755 x/a b $D/", ["COPY x/a b $D/", 'RUN chmod -R 755 "$D/a" "$D/b"']),
        (
            "USER me\nCOPY --chmod=u+x a /b",
            ["USER me", "COPY a /b", "USER root", "RUN chmod -R u+x /b", "USER me"],
        ),
    ],
)
def test_flags(text: str, lowered: list[str]) -> None:
    assert body(text) == lowered


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("RUN --mount=type=secret,id=x a", "--mount=type=secret,id=x"),
        ("RUN --mount=target=/c a", "--mount=target=/c"),
        ("RUN --network=none a", "--network=none"),
        ("ADD --checksum=sha256:1 http://x /y", "--checksum"),
        ("ADD https://x/y.git /z", "git"),
        ("COPY --parents a /b/", "--parents"),
        ("COPY --chmod=755 d/ /b/", "--chmod=755 of a folder"),
        ("COPY --chmod=755 * /b/", "--chmod=755 of a folder"),
        ("ONBUILD COPY <<E /x\n1\nE", "ONBUILD"),
        ("COPY <<E /x\n${A#b}\nE", "${A#b}"),
        ("COPY <<a/b /x\n1\na/b", "a/b"),
        ('RUN ["a", "<<E"]\n1\nE', ""),
    ],
)
def test_what_needs_buildkit_is_named_with_its_line(text: str, named: str) -> None:
    found = problems(text)
    assert bool(found) == bool(named)
    assert all(problem.startswith("line 2: ") and named in problem for problem in found)


def test_a_builder_that_knows_keeps_its_words() -> None:
    text = (
        "RUN --mount=type=secret,id=x a\nCOPY --chmod=7 --link <<E b /x\n1\nE\nRUN --network=none <<E\n2\nE\n"
    )
    both = body(text, native=frozenset({FLAGS, HEREDOCS}))
    assert both == text.replace("/x", "/x/").splitlines()
    lowered = lower(f"FROM base\n{text}", native=frozenset({FLAGS}))
    assert not lowered.problems
    assert lowered.text.splitlines()[1:3] == [
        "RUN --mount=type=secret,id=x a",
        f'COPY --from={lowered.helper} --chmod=7 ["/0/E", "/x/"]',
    ]


def test_sources_are_counted_in_the_context() -> None:
    def matches(pattern: str) -> Sequence[str]:
        return {"*.py": ["a.py", "b.py"], "d": ["d/"]}.get(pattern, [pattern])

    assert body("COPY *.py /x", matches=matches) == ["COPY *.py /x/"]
    assert body("COPY --from=y *.py /x", matches=matches) == ["COPY --from=y *.py /x"]
    assert body("COPY --chmod=6 *.py /x/", matches=matches) == [
        "COPY *.py /x/",
        "RUN chmod -R 6 /x/a.py /x/b.py",
    ]
    assert body("COPY --chmod=6 d /x", matches=matches) == ["COPY d /x", "RUN chmod -R 6 /x"]
    assert lower("FROM base\nCOPY --chmod=6 d /x/", matches=matches).problems


def test_bases_are_replaced() -> None:
    text = "ARG V=1\nFROM --platform=linux/amd64 base:$V AS Base\n"
    text += "COPY --from=tool:2 /a /b\nCOPY --from=base /a /b\nFROM base\n"
    tool = Base("tool:2", "mirror/tool:2")
    base = Base("base:1", "stand/in", workdir="/", stand_in="debian-12")
    lowered = lower(text, bases={"base:1": base, "tool:2": tool, "base": base})
    assert lowered.text.splitlines()[1:] == [
        "FROM stand/in AS base",
        "WORKDIR /",
        "COPY --from=mirror/tool:2 /a /b",
        "COPY --from=base /a /b",
        "FROM base",
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "RUN a",
                "RUN <<E\nx\nE",
                "RUN cat <<'E' >f\n$x\nE",
                "COPY a b /c",
                "COPY <<E /c\nx\nE",
                "USER x",
                "ENV A=1 B=$A",
                "ARG C=$B",
                "# c",
                "",
                "FROM base",
                "FROM 0",
                'SHELL ["s"]',
                "COPY --chmod=7 a /b",
                "WORKDIR /w",
                "RUN a \\\n b",
            ]
        ),
        max_size=12,
    )
)
def test_lowering_a_lowered_file_changes_nothing(lines: list[str]) -> None:
    once = lower("\n".join(["FROM base", *lines, ""]), bases={"base": BASE})
    assert not once.problems
    assert lower(once.text).text == once.text.replace("local/base:1", "local/base:1")
    assert all(not one.heredocs for one in parse(once.text).instructions)
