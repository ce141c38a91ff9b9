"""Our checker of COLLIE and the official one: the same verdict on references and on changed ones."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from punkt_fixtures import punkt, real_punkt

from longcat_eval.protocols import DataOptions
from longcat_eval.tasks.collie.constraints import check
from longcat_eval.tasks.collie.task import CollieTask

__all__ = ["punkt", "real_punkt"]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEED = 20260819
pytestmark = [pytest.mark.oracle, pytest.mark.data]


def shuffled(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    draw.shuffle(words)
    return " ".join(words)


def inserted(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return text[:place] + draw.choice([".", "\n\n", "U.S. ", "n't", "(", "中", '"', "..."]) + text[place:]


CHANGES: list[Callable[[str, random.Random], str]] = [
    lambda text, draw: text,
    lambda text, draw: text + draw.choice(["\n", ".", "!", " More.", '"', "\n\nOne. Two."]),
    lambda text, draw: text[: draw.randrange(len(text) + 1)],
    lambda text, draw: f"**{text.upper()}**",
    lambda text, draw: f"{text} {text}",
    lambda text, draw: text.replace("\n\n", "\n"),
    shuffled,
    inserted,
]


def test_both_checkers_agree(data_dir: Path, punkt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    if not peers.COLLIE.ready:
        pytest.skip("python benchmarks/peers.py --make-environments")
    draw, cases = random.Random(SEED), []
    for sample in CollieTask().load(DataOptions(data_dir)).samples:
        constraint, targets, text = (sample.fields[name] for name in ("constraint", "targets", "example"))
        cases += [(constraint, targets, draw.choice(CHANGES)(text, draw)) for _ in range(2)]
    done = subprocess.run(
        [peers.COLLIE.bin / "python", "-P", BENCHMARKS / "collie_official.py", punkt],
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    official = [line == "1" for line in done.stdout.split()]
    ours = [check(*case, str(punkt)) for case in cases]
    assert len(official) == len(cases)
    assert sum(ours) > len(ours) / 4
    assert [case for case, one, other in zip(cases, ours, official, strict=True) if one != other] == []
