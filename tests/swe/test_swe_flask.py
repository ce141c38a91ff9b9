"""Two real records of SWE-bench Lite, in images built on this machine without a registry."""

import json
from pathlib import Path

import pytest
from cli_fixtures import Cli
from docker_fixtures import connect

from longcat_eval.records import Sample
from longcat_eval.runners.store import read_run, read_transcript
from longcat_eval.tasks.swe.images import built_image

pytestmark = [pytest.mark.docker, pytest.mark.data, pytest.mark.usefixtures("swebench")]
TESTS = {"pallets__flask-4992": (1, 18), "pallets__flask-5063": (2, 54)}


def run(cli: Cli, model: str, data_dir: Path, output: str, *more: str) -> None:
    chosen = [word for name in TESTS for word in ("--sample-id", name)]
    words = ("--task", "swe-bench-lite", "--model", model, "--data-dir", data_dir, "--plain", "-o", output)
    ran = cli("run", *words, *chosen, *more)
    assert ran.code == 0, ran.err + ran.out


def test_gold_resolves_with_the_records_own_tests(
    cli: Cli, tmp_path: Path, data_dir: Path, flask_rows: list[Sample]
) -> None:
    run(cli, "scripted/oracle", data_dir, "gold")
    for row in read_run(tmp_path / "gold").rows:
        artifacts = read_transcript(tmp_path / "gold", row).artifacts
        assert (row.reason, row.value, row.metrics["rebased"]) == ("resolved", 1.0, 1.0), row.sample
        assert artifacts["eval_log"].count("\nPASSED ") >= sum(TESTS[row.sample])
        assert artifacts["network"] is False
        assert artifacts["image"] == built_image(row.sample)
        assert len(artifacts["rebased"]) == 40
        assert "Successfully installed Flask-2.2.3" in artifacts["eval_log"], (
            "the script's own pip works offline"
        )
    sizes = {s.id: (len(s.fields["FAIL_TO_PASS"]), len(s.fields["PASS_TO_PASS"])) for s in flask_rows}
    assert sizes == TESTS


NO_OP = """\
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+x
"""


def test_other_patches_do_not(cli: Cli, tmp_path: Path, data_dir: Path, flask_rows: list[Sample]) -> None:
    run(cli, "scripted/null", data_dir, "null")
    assert {row.reason for row in read_run(tmp_path / "null").rows} == {"empty_patch"}
    made = [{"instance_id": name, "model_name_or_path": "m", "model_patch": NO_OP} for name in TESTS]
    (tmp_path / "preds.json").write_text(json.dumps(made))
    chosen = [word for name in TESTS for word in ("--sample-id", name)]
    words = ("--task", "swe-bench-lite", "--grade-only", "preds.json", "--data-dir", data_dir, "--plain")
    assert cli("run", *words, *chosen, "-o", "noop").code == 0
    for row in read_run(tmp_path / "noop").rows:
        assert (row.reason, row.metrics["fail_to_pass"], row.metrics["pass_to_pass"]) == (
            "unresolved",
            0.0,
            1.0,
        )


def test_the_image_says_what_it_is_and_is_made_once(
    cli: Cli, data_dir: Path, flask_rows: list[Sample]
) -> None:
    def look() -> tuple[str, dict[str, str]]:
        with connect() as client:
            image = client.images.get(built_image("pallets__flask-5063"))
            return image.id, image.labels

    before, labels = look()
    assert labels["longcat-eval.rebased"] == "1"
    assert labels["longcat-eval.base-commit"] == flask_rows[1].fields["base_commit"]
    assert labels["longcat-eval.source"] == "Flask==2.2.3 from PyPI"
    ran = cli(
        *("images", "build", "--task", "swe-bench-lite", "--data-dir", data_dir),
        *("--sample-id", "pallets__flask-5063", "--sample-id", "pallets__flask-4045"),
    )
    assert ran.code == 5
    assert "ok    pallets__flask-5063: longcat-eval/swe.pallets_1776_flask-5063:1" in ran.out
    assert "fail  pallets__flask-4045: pallets__flask-4045 cannot be built here" in ran.out
    assert look()[0] == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "mmlu"), "images of mmlu cannot be built"),
        (("--task", "swe-bench-lite"), "say which: --sample-id"),
        (("--task", "swe-bench-lite", "--sample-id", "x__y-1"), "swe-bench-lite has no sample x__y-1"),
        ((), "say what to build: --from-host, --stand-in, or --task and --sample-id"),
    ],
)
def test_what_cannot_be_built(cli: Cli, data_dir: Path, words: tuple[str, ...], said: str) -> None:
    ran = cli("images", "build", "--data-dir", data_dir, *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_rebased_result_is_marked(
    cli: Cli, tmp_path: Path, data_dir: Path, flask_rows: list[Sample]
) -> None:
    run(cli, "scripted/null", data_dir, "null")
    ran = cli("report", "null", "--compare", "longcat")
    assert "¶ environments made here instead of the official ones: not comparable" in ran.out
    assert "100 % of the attempts rebased on a release" in ran.out
