"""The planner: bytes that add up, plans that hold, and the known machines' figures."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.budget import GIB, Place, Weights, free_disk, host_memory, parse_gpus
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import PlacementError
from longcat_eval.model_backend.longcat.placement import Plan, plan
from longcat_eval.model_backend.longcat.quant import Quantisation

LITE = Weights(LiteConfig.lite())
INT8 = Weights(LiteConfig.lite(), quant=Quantisation("int8", "int8"))


def bytes_of(found: Plan) -> int:
    return sum(item.bytes for item in found.items)


def test_bytes_of_the_released_shape() -> None:
    router = 14 * (384 * 3072 + 384)
    assert LITE.total == 2 * 68_562_465_024 + 2 * router, "the router is kept in float32"
    assert sum(LITE.tables) / GIB == pytest.approx(58.50, abs=0.005)
    assert (LITE.total - sum(LITE.tables)) / GIB == pytest.approx(69.24, abs=0.01)
    assert LITE.kv_token == 32_256
    experts = 14 * 256 * 9_437_184
    assert (
        LITE.total - INT8.total
        == experts + sum(LITE.config.ngram_table_sizes) * (256 - 4) - 4 * 14 * 256 * 5120
    )


def test_the_model_weighs_what_the_budget_says() -> None:
    import torch

    from longcat_eval.model_backend.longcat.model import LongcatLite

    for weights in (LITE, INT8):
        with torch.device("meta"):
            model = LongcatLite(weights.config, torch.bfloat16, weights.quant)
        state = model.state_dict().values()
        assert sum(t.numel() * t.element_size() for t in state) == weights.total - sum(weights.tables)


def test_known_machines() -> None:
    two = plan(LITE, parse_gpus("2x80"), 0)
    assert two.kv_tokens is not None
    assert two.policy == "device"
    assert two.kv_tokens > 600_000
    h200 = plan(LITE, parse_gpus("1x141"), 0)
    assert h200.kv_tokens is not None
    assert set(h200.tables) == {"cuda:0"}
    assert 250_000 < h200.kv_tokens < 330_000
    h100 = plan(LITE, parse_gpus("1x80"), 128 * GIB)
    assert h100.kv_tokens is not None
    assert set(h100.tables) == {"cpu"}
    assert set(h100.layers) == {"cuda:0"}
    assert 100_000 < h100.kv_tokens < 260_000
    small_host = plan(LITE, parse_gpus("1x80"), 32 * GIB)
    assert set(small_host.tables) == {"mmap"}
    int8 = plan(Weights(LITE.config, quant=Quantisation("int8")), parse_gpus("1x80"), 128 * GIB)
    assert int8.kv_tokens is not None
    assert int8.kv_tokens * LITE.kv_token / GIB > 35
    spread = plan(LITE, parse_gpus("8x24"), 128 * GIB)
    assert spread.policy == "split"
    one_card = plan(LITE, parse_gpus("24"), 128 * GIB)
    assert one_card.layers == ("cuda:0",) * 4 + ("cpu",) * 10


@settings(max_examples=40, deadline=None)
@given(
    cards=st.lists(st.integers(8, 150), max_size=5),
    host=st.integers(0, 256),
    disk=st.none() | st.integers(0, 256),
    policy=st.sampled_from(["auto", "device", "split", "host", "mmap"]),
    quant=st.sampled_from([Quantisation(), Quantisation("int8"), Quantisation("int8", "int8")]),
    context=st.sampled_from([1, 32_768, 327_680]),
)
def test_whatever_is_planned_fits(
    cards: list[int], host: int, disk: int | None, policy: str, quant: Quantisation, context: int
) -> None:
    weights = Weights(LITE.config, quant=quant)
    gpus = [Place(f"cuda:{i}", size * GIB) for i, size in enumerate(cards)]
    room = None if disk is None else disk * GIB
    try:
        found = plan(weights, gpus, host * GIB, tables=policy, disk=room, context=context)
    except PlacementError:
        return
    assert bytes_of(found) == weights.total
    assert len(found.layers) == 14
    assert len(found.tables) == 12
    ranks = [int(p.removeprefix("cuda:")) if p.startswith("cuda") else 99 for p in found.layers]
    assert ranks == sorted(ranks), "layers are contiguous and in the order of the cards"
    for place in found.places:
        free = found.free(place)
        assert free is None or free >= 0, place
    assert found.kv_tokens is None or found.kv_tokens >= context
    if policy in ("device", "split") and gpus:
        assert all(name.startswith("cuda") for name in found.tables)


def brute_force(weights: Weights, gpus: list[Place], reserve: int) -> int:
    """The most tokens over every way to spread 14 layers and 12 tables on two cards."""
    best = 0
    for layers in range(15):
        for tables in range(13):
            poorest = math.inf
            for i, (own, rows) in enumerate([(layers, tables), (14 - layers, 12 - tables)]):
                fixed = weights.embed if i == 0 else weights.head
                used = fixed + own * weights.layer + rows * max(weights.tables) + reserve
                left = (gpus[i].capacity or 0) - used
                poorest = min(poorest, left // (own * weights.kv_per_layer) if own else math.inf, left)
            best = max(best, int(poorest)) if poorest >= 0 else best
    return best


@settings(max_examples=15, deadline=None)
@given(st.integers(60, 100), st.integers(60, 100))
def test_a_split_is_the_best_there_is(first: int, second: int) -> None:
    gpus = [Place("cuda:0", first * GIB), Place("cuda:1", second * GIB)]
    best = brute_force(LITE, gpus, 2 * GIB)
    if best < 32_768:
        with pytest.raises(PlacementError):
            plan(LITE, gpus, 0, tables="split")
        return
    found = plan(LITE, gpus, 0, tables="split")
    assert found.kv_tokens is not None
    assert found.kv_tokens == pytest.approx(best, rel=1e-4)


def test_what_does_not_fit_says_what_would() -> None:
    with pytest.raises(PlacementError) as refused:
        plan(LITE, parse_gpus("1x24"), 8 * GIB)
    for word in ("69.2 GiB", "58.5 GiB", "--quant int8", "disk tier", "23.5"):
        assert word in str(refused.value)
    with pytest.raises(PlacementError, match="there are auto, device"):
        plan(LITE, [], 0, tables="gpu")
    with pytest.raises(PlacementError, match="no type 'int4'"):
        plan(Weights(LITE.config, "int4"), [], 0)


def test_gpus_as_people_write_them() -> None:
    assert [place.name for place in parse_gpus("2x80, 24,1x78GiB")] == [
        "cuda:0",
        "cuda:1",
        "cuda:2",
        "cuda:3",
    ]
    assert parse_gpus("78GiB")[0].capacity == 78 * GIB
    assert parse_gpus("80GB") == parse_gpus("1×80")
    for text in ("", "x80", "2x", "0x80", "2x0", "many", "2x80;24", "-1x80", "65x80"):
        with pytest.raises(PlacementError, match="--gpus"):
            parse_gpus(text)


def test_this_machine_has_memory() -> None:
    assert host_memory() > GIB // 4


def test_free_disk_of_a_folder_to_be_made(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "there") == free_disk(tmp_path) > 0


def test_the_page_prints_what_the_planner_says() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "model.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\d+) x (\d+) GB(, int8 experts)? \|[^|]*\| ([\d,]+) \|", page)
    assert len(rows) == 5
    for count, size, int8, tokens in rows:
        weights = Weights(LITE.config, quant=Quantisation("int8" if int8 else "none"))
        found = plan(weights, parse_gpus(f"{count}x{size}"), 128 * GIB)
        assert found.kv_tokens == int(tokens.replace(",", "")), (count, size, int8)
