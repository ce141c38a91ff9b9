"""N-grams and backbone together, beside mlx-lm's own implementation on the same checkpoint.

Texts without EOS: mlx-lm does not end the n-gram window there (docs/model.md).
"""

import json
import random
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import torch

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.loader import load
from longcat_eval.model_backend.longcat.random_weights import random_model, write_checkpoint

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = LiteConfig.tiny()

pytestmark = pytest.mark.oracle


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks' own module of environments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    assert peers.MLX.ready, "run `python benchmarks/peers.py --make-environments` first"
    return peers


def by_mlx(peers: ModuleType, folder: Path, texts: list[list[list[int]]]) -> list[torch.Tensor]:
    done = subprocess.run(
        [peers.MLX.bin / "python", BENCHMARKS / "longcat_mlx_peer.py", folder],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [torch.tensor(rows) for rows in json.loads(done.stdout)]


def text(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.choice([i for i in range(TINY.vocab_size) if i != TINY.eos_token_id]) for _ in range(length)]


def test_logits_equal_mlx_whole_and_token_by_token(peers: ModuleType, tmp_path: Path) -> None:
    write_checkpoint(random_model(TINY, seed=1), tmp_path)
    model = load(tmp_path)
    texts = [text(length, length) for length in (1, 2, 60)]
    longest = texts[-1]
    pieces = [*([tokens] for tokens in texts), [longest[:30], *([token] for token in longest[30:])]]
    found = by_mlx(peers, tmp_path, pieces)
    for tokens, theirs in zip([*texts, longest], found, strict=True):
        ours = model.logits(tokens)
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=0)


def test_the_difference_at_an_eos_is_theirs(peers: ModuleType, tmp_path: Path) -> None:
    write_checkpoint(random_model(TINY, seed=1), tmp_path)
    tokens = [10, 11, TINY.eos_token_id, 12, 13]
    (theirs,) = by_mlx(peers, tmp_path, [[tokens]])
    ours = load(tmp_path).logits(tokens)
    torch.testing.assert_close(ours[:3], theirs[:3], atol=1e-4, rtol=0)
    assert (ours[3:] - theirs[3:]).abs().amax(1).min() > 0.01
