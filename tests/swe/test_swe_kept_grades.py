"""What is kept of test runs, and what images say of themselves; without a container."""

from typing import Any

import msgspec
import pytest
import toy_repair

from longcat_eval.protocols import SandboxError
from longcat_eval.tasks.swe.data import to_sample
from longcat_eval.tasks.swe.evaluation import Evaluation, Limits, rebase
from longcat_eval.tasks.swe.images import BuildRecord, built_image, read_build_record
from longcat_eval.tasks.swe.kept_grades import grade_key, keep, kept_folder, look_up
from longcat_eval.tasks.swe.recipes import how_to_get, recipes

SAMPLE = to_sample(toy_repair.row("a" * 40, "toy:1"))
RAN = Evaluation("ran", "log \ufffd", "git apply --verbose", "toy:1", "sha256:1", False, seconds=1.5)
LIMITS = Limits(1.0, 2, 3)


def test_a_run_is_read_as_it_was_kept() -> None:
    assert look_up("0" * 64) is None
    keep("0" * 64, RAN)
    kept = look_up("0" * 64)
    assert kept is not None
    assert kept.evaluation == RAN
    assert kept.time.endswith("+00:00")
    assert [path.name for path in kept_folder().rglob("*.*")] == [f"{'0' * 64}.zst"]


def test_a_damaged_file_counts_as_none() -> None:
    keep("0" * 64, RAN)
    (file,) = kept_folder().rglob("*.zst")
    for content in (b"", b"x", file.read_bytes()[:-5], msgspec.json.encode({})):
        file.write_bytes(content)
        assert look_up("0" * 64) is None


def test_a_cache_that_cannot_be_written_costs_nothing_else() -> None:
    kept_folder().parent.mkdir(parents=True, exist_ok=True)
    kept_folder().write_text("a file where the folder should be")
    keep("0" * 64, RAN)
    assert look_up("0" * 64) is None


def test_the_key_changes_with_all_that_decides() -> None:
    base: dict[str, Any] = {
        "sample": SAMPLE,
        "script": "s",
        "patch": b"p",
        "image_id": "i",
        "swebench": "5.0.2",
        "limits": LIMITS,
    }
    other = to_sample({**toy_repair.row("a" * 40, "toy:1"), "log_parser": "parse_log_flask"})
    changes = {
        "sample": other,
        "script": "t",
        "patch": b"q",
        "image_id": "j",
        "swebench": "5.0.3",
        "limits": LIMITS._replace(seconds=2.0),
    }
    keys = {grade_key(**base), *(grade_key(**{**base, name: value}) for name, value in changes.items())}
    assert len(keys) == 7


class Image:
    """A sandbox of which only one file matters."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    async def get(self, path: str, *, max_bytes: int) -> bytes:
        if self.content is None:
            raise FileNotFoundError(path)
        return self.content


async def test_images_say_for_whom_they_were_built() -> None:
    own = BuildRecord(SAMPLE.id, "a" * 40, "b" * 40, "X==1 from PyPI", ["x==1"])
    image: Any = Image(msgspec.json.encode(own))
    assert await read_build_record(image, SAMPLE) == own
    script = f"git diff {'a' * 40}\ngit checkout {'a' * 40} x\n"
    assert rebase(script, SAMPLE, own) == script.replace("a" * 40, "b" * 40)
    official: Any = Image(None)
    assert await read_build_record(official, SAMPLE) == BuildRecord()
    assert rebase(script, SAMPLE, BuildRecord()) == script


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "image.json of toy__calc-1"),
        (b'{"instance": 1}', "image.json of toy__calc-1"),
        (msgspec.json.encode(BuildRecord("other", "a" * 40, "b" * 40)), "was built for other"),
        (msgspec.json.encode(BuildRecord(SAMPLE.id, "c" * 40, "b" * 40)), "build it again"),
    ],
)
async def test_images_for_something_else_are_unusable(content: bytes, said: str) -> None:
    image: Any = Image(content)
    with pytest.raises(SandboxError, match=said) as caught:
        await read_build_record(image, SAMPLE)
    assert caught.value.reason == "image_unusable"


def test_what_brings_an_image_is_named() -> None:
    assert set(recipes()) == {"pallets__flask-4992", "pallets__flask-5063"}
    assert built_image("Org__repo-1") == "longcat-eval/swe.org_1776_repo-1:1"
    assert how_to_get("x__y-1", "a/b:c") == "`longcat-eval images pull a/b:c` gets the official one"
    assert how_to_get("pallets__flask-5063", "a/b:c").endswith(
        "`longcat-eval images build --task swe-bench-lite --sample-id pallets__flask-5063` builds one"
    )
