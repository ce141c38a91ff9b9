"""The table: the card's rows, our columns, marks, what is missing, and the notes below."""

from collections.abc import Callable

import pytest
from msgspec import structs

from longcat_eval.errors import UsageError
from longcat_eval.records import AttemptRow
from longcat_eval.reports.notes import notes
from longcat_eval.reports.render_md import cell_text
from longcat_eval.reports.table import Table, build_table
from longcat_eval.runners.manifest import TaskRecord
from longcat_eval.runners.store import RunData

MakeBinary = Callable[..., tuple[TaskRecord, list[AttemptRow]]]
MakeRun = Callable[..., RunData]
CARD = ["kimi", "qwen3-next", "gemini", "longcat"]


def ours(table: Table, task: str, column: int = -1) -> str:
    """One cell as Markdown prints it."""
    return next(cell_text(row.cells[column]) for row in table.rows if row.task == task)


def note(table: Table, start: str) -> str:
    """The one note that begins so."""
    (found,) = [text for text in notes(table) if text.startswith(start)]
    return found


# Counts of specs/qa.md section 1 and specs/tau2.md, terminal.md: right attempts, questions, repeats, printed.
AUDIT = [
    *(
        ("math500", c, 500, 1, text)
        for c, text in ((471, "94.20"), (490, "98.00"), (476, "95.20"), (484, "96.80"))
    ),
    *(
        ("aime24", c, 30, 32, text)
        for c, text in ((677, "70.52"), (781, "81.35"), (608, "63.33"), (693, "72.19"))
    ),
    *(("aime25", c, 30, 32, text) for c, text in ((572, "59.58"), (657, "68.44"), (607, "63.23"))),
    ("gpqa-diamond", 2214, 198, 16, "69.89"),
    *(
        ("terminal-bench", c, n, 1, text)
        for c, n, text in ((16, 80, "20.00"), (12, 79, "15.19"), (27, 80, "33.75"))
    ),
    *(("tau2-airline", c, 50, 8, text) for c, text in ((176, "44.00"), (140, "35.00"), (232, "58.00"))),
    *(("tau2-retail", c, 114, 8, text) for c, text in ((172, "18.86"), (342, "37.50"))),
    *(("tau2-telecom", c, 114, 8, text) for c, text in ((143, "15.68"), (200, "21.93"))),
    *(
        ("ifeval", c, 541, 1, text)
        for c, text in (
            (469, "86.69"),
            (479, "88.54"),
            (481, "88.91"),
            (463, "85.58"),
            (478, "88.35"),
            (454, "83.92"),
        )
    ),
    ("ifeval", 485, 541, 1, "89.65"),
]


@pytest.mark.parametrize(("task", "correct", "n", "k", "printed"), AUDIT)
def test_counts_print_as_the_card_prints_them(
    task: str, correct: int, n: int, k: int, printed: str, make_run: MakeRun, make_binary: MakeBinary
) -> None:
    table = build_table([make_run({task: make_binary(task, correct, n, k)})])
    assert ours(table, task).startswith(f"{printed} ({correct}/{n * k}) [")


def test_a_full_score_reads_as_one_expects(make_run: MakeRun, make_binary: MakeBinary) -> None:
    table = build_table([make_run({"math500": make_binary("math500", 500, 500)})])
    assert ours(table, "math500") == "100.00 (500/500) [99.2, 100.0]"
    table = build_table([make_run({"math500": make_binary("math500", 0, 500)})])
    assert ours(table, "math500") == "0.00 (0/500) [0.0, 0.8]"


def test_an_incomplete_score_says_so_with_its_bounds(
    make_run: MakeRun, make_record: Callable[..., TaskRecord], make_rows: Callable[..., list[AttemptRow]]
) -> None:
    rows = make_rows("terminal-bench", [[1.0]] * 27 + [[0.0]] * 52 + [[None]])
    table = build_table([make_run({"terminal-bench": (make_record(81), rows)})])
    cell = ours(table, "terminal-bench")
    assert cell == "34.18 (27/79) [24.7, 45.2] incomplete 97.53 %, 33.33–35.80"
    said = note(table, "incomplete")
    assert "TerminalBench: 1 endpoint_error, 1 not made." in said


def test_coverage_never_rounds_up_to_all(
    make_run: MakeRun, make_record: Callable[..., TaskRecord], make_rows: Callable[..., list[AttemptRow]]
) -> None:
    rows = make_rows("mmlu", [[1.0]] * 99_999 + [[None]])
    assert "incomplete 99.99 %" in ours(
        build_table([make_run({"mmlu": (make_record(100_000), rows)})]), "mmlu"
    )


def test_marks_and_their_notes(make_run: MakeRun, make_binary: MakeBinary) -> None:
    tasks = {
        "math500": make_binary("math500", 14, 20, items=500),
        "mmlu": make_binary("mmlu", 5, 10, drift="10 rows instead of 14,042"),
        "aime24": make_binary("aime24", 8, 30, 1, protocol_k=32),
        "aime25": make_binary("aime25", 8, 30, 1, protocol_k=32, items=31),
    }
    table = build_table([make_run(tasks)], ["longcat-flash-chat"])
    assert ours(table, "math500").startswith("70.00† (14/20)")
    assert ours(table, "mmlu").startswith("50.00‡ (5/10)")
    assert ours(table, "aime25").startswith("26.67†§ (8/30)")
    assert ours(table, "aime24", 0) == "70.42§"
    assert note(table, "†") == "† a subset of the questions; MATH500: 20 of 500; AIME25: 30 of 31."
    assert note(table, "‡").endswith("MMLU: 10 rows instead of 14,042.")
    assert "LongCat-Flash-Chat AIME24, AIME25: avg@10 instead of avg@32" in note(table, "§")
    assert "; AIME24, AIME25: acc instead of avg@32" in note(table, "§")


def test_members_that_could_not_run_are_named_with_the_remedy(
    make_run: MakeRun, make_binary: MakeBinary
) -> None:
    remedy = "start Docker"
    run = make_run(
        {"mmlu": make_binary("mmlu", 1, 2)},
        not_run={"terminal-bench": remedy, "swe-bench-verified": remedy, "swe-bench-lite": "fetch it"},
    )
    table = build_table([run])
    assert [row.label for row in table.rows] == [
        "SWE-Bench (acc)",
        "TerminalBench (acc)",
        "MMLU (acc)",
        "swe-bench-lite",
    ]
    assert ours(table, "terminal-bench") == "not run"
    assert [text for text in notes(table) if text.startswith("not run")] == [
        "not run: SWE-Bench, TerminalBench: start Docker",
        "not run: swe-bench-lite: fetch it",
    ]


def test_without_published_columns_only_our_rows_stand(make_run: MakeRun, make_binary: MakeBinary) -> None:
    tasks = {name: make_binary(name, 1, 2) for name in ("toy", "vitabench", "math500")}
    table = build_table([make_run(tasks)])
    assert [(group.name, [row.task for row in group.rows]) for group in table.groups] == [
        ("Mathematical Reasoning", ["math500"]),
        ("Other", ["vitabench", "toy"]),
    ]
    assert table.header == ()
    assert [column.label for column in table.columns] == ["toy-model"]
    assert table.rows[-1].label == "toy (acc)"


def test_published_columns_bring_the_whole_card(make_run: MakeRun, make_binary: MakeBinary) -> None:
    run = make_run({"toy": make_binary("toy", 1, 2)}, model="longcat-flash-lite", preset="longcat-flash-lite")
    table = build_table([run], ["qwen3-next", "kimi"])
    assert [column.label for column in table.columns] == [
        "Qwen3-Next-80B-A3B-Instruct",
        "Kimi-Linear-48B-A3B",
        "longcat-flash-lite (this run)",
    ]
    assert len(table.rows) == 15 + 1
    assert table.header[0] == ("Architecture", ("MoE", "MoE", "MoE + NE"))
    assert ours(table, "math500") == "-"
    assert ours(table, "toy", 0) == "-"


def test_rows_beyond_the_card_come_when_a_run_or_a_column_has_them(
    make_run: MakeRun, make_binary: MakeBinary
) -> None:
    beyond = {"arena-hard-v2", "ifeval", "collie", "meeseeks-zh", "vitabench"}
    assert not beyond & {row.task for row in build_table([], CARD).rows}
    chat = build_table([], ["longcat", "longcat-flash-chat"])
    assert beyond <= {row.task for row in chat.rows}
    assert ours(chat, "vitabench", 0) == "7.0"
    run = make_run({"ifeval": make_binary("ifeval", 1, 2)})
    assert beyond & {row.task for row in build_table([run], CARD).rows} == {"ifeval"}


def test_runs_of_one_model_are_told_apart(make_run: MakeRun, make_binary: MakeBinary) -> None:
    task = {"math500": make_binary("math500", 1, 2)}
    table = build_table([make_run(task, path="runs/a"), make_run(task, path="runs/b")])
    assert [column.label for column in table.columns] == ["toy-model (a)", "toy-model (b)"]
    same_name = build_table([make_run(task, path="x/a"), make_run(task, path="y/a")])
    assert len({column.label for column in same_name.columns}) == 2


@pytest.mark.parametrize(
    ("change", "said"), [({"protocol": "toy/2"}, "protocols"), ({"grader": "grader/2"}, "graders")]
)
def test_one_row_does_not_mix_protocols(
    change: dict[str, str], said: str, make_run: MakeRun, make_binary: MakeBinary
) -> None:
    runs = [
        make_run({"toy": make_binary("toy", 1, 2)}, path="runs/a"),
        make_run({"toy": make_binary("toy", 1, 2, **change)}, path="runs/b"),
    ]
    with pytest.raises(UsageError, match=rf"toy: the runs differ in {said}.*--allow-mixed"):
        build_table(runs)
    assert note(build_table(runs, allow_mixed=True), "mixed") == f"mixed: toy: the runs differ in {said}."


def test_nothing_to_show_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        build_table([], [])


def test_what_is_unknown_of_published_values_is_said_once() -> None:
    texts = notes(build_table([], [*CARD, "longcat-flash-chat"]))
    unknown = "agent scaffold, step limit, user model, judge, prompts, sampling"
    assert sum(unknown in text for text in texts) == 1
    sources = next(text for text in texts if text.startswith("Published values"))
    assert "model card meituan-longcat/LongCat-Flash-Lite (2026-01)" in sources
    assert "README of meituan-longcat/LongCat-Flash-Chat (undated)" in sources


def test_intervals_and_floors_are_explained(make_run: MakeRun, make_binary: MakeBinary) -> None:
    tasks = {
        "mmlu": make_binary("mmlu", 5, 10, floors={"null": 0.0, "chance": 0.25, "always A": 0.2295}),
        "aime24": make_binary("aime24", 500, 30, 32),
        "aime25": make_binary("aime25", 950, 30, 32),
    }
    table = build_table([make_run(tasks)])
    floors = "Floors, scored without any skill; MMLU: guessing 25.00, always A 22.95."
    assert note(table, "Floors") == floors
    assert note(table, "Ours") == (
        "Ours: score (correct/valid attempts) [95 % interval for new questions of the same kind: Wilson over "
        "questions (MMLU); Student t over question means (AIME24); Wilson with the effective number of "
        "questions, near 0 and 100 (AIME25)]. Coverage is 100 % where no cell says incomplete."
    )


def test_macro_and_pass_at_k_stand_beside_the_score(
    make_run: MakeRun, make_record: Callable[..., TaskRecord], make_rows: Callable[..., list[AttemptRow]]
) -> None:
    rows = make_rows("mmlu", [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    rows = [structs.replace(row, group="a" if i < 4 else "b") for i, row in enumerate(rows)]
    lines = notes(build_table([make_run({"mmlu": (make_record(3, 2), rows)})]))
    (line,) = [line for line in lines if line.startswith("Beside the score")]
    assert line == "Beside the score; MMLU: macro 37.50, maj@2 66.67, pass@2 66.67, pass^1..2: 50.00 33.33."


def test_the_other_uncertainty_stands_beside_the_interval(make_run: MakeRun, make_binary: MakeBinary) -> None:
    """For new questions in the cell, for the same ones asked again below the table; not at k = 1."""
    run = make_run({"aime24": make_binary("aime24", 480, 30, 32), "mmlu": make_binary("mmlu", 5, 10)})
    table = build_table([run])
    [result] = [row.cells[0].result for row in table.rows if row.task == "aime24"]
    assert result is not None
    assert result.se_rerun is not None
    assert (
        note(table, "±")
        == f"± for the same questions asked again (95 %); AIME24: {1.96 * result.se_rerun:.1f}."
    )
