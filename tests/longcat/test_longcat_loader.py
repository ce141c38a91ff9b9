"""A sharded checkpoint through every placement gives the same logits; a spoiled one gives one clear line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from longcat_checkpoints import INDEX, SHARDS, edit_config, edit_shard, shard_of

from longcat_eval.model_backend.longcat import random_weights
from longcat_eval.model_backend.longcat.budget import Place, Weights
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError, PlacementError
from longcat_eval.model_backend.longcat.loader import load, random_model, write_checkpoint
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.ngram_tables import DeviceTables, MmapTables, SplitTables
from longcat_eval.model_backend.longcat.placement import Plan, plan
from longcat_eval.model_backend.longcat.quant import Quantisation, dequantise, quantise
from longcat_eval.model_backend.longcat.shards import open_checkpoint

TINY = LiteConfig.tiny()
WEIGHTS = Weights(TINY, "float32")
TEXT = [5, 6, 7, 5, 2, 9, 300, 4, 2, 2, 8]
EMULATED = {"cuda:0": "cpu", "cuda:1": "cpu", "cuda:2": "cpu"}
EXPERT = "model.layers.1.mlp.experts.3.up_proj.weight"


def logits(model: LongcatLite) -> torch.Tensor:
    return model.logits(TEXT)


def likeness(one: LongcatLite, other: LongcatLite) -> float:
    """The cosine between the logits of two models."""
    pair = logits(one).double().flatten(), logits(other).double().flatten()
    return float(torch.nn.functional.cosine_similarity(*pair, dim=0))


def by_hand(
    layers: tuple[str, str], tables: tuple[str, ...], embed: str = "cuda:0", head: str = "cuda:1"
) -> Plan:
    places = [Place(name, None) for name in dict.fromkeys([embed, *layers, head, *tables])]
    return Plan(WEIGHTS, tuple(places), embed, layers, head, tables, "given", 0)


PLACEMENTS = {
    "one device": by_hand(("cuda:0", "cuda:0"), ("cuda:0",) * 12, head="cuda:0"),
    "two devices": by_hand(("cuda:0", "cuda:1"), ("cuda:0",) * 12),
    "tables split": by_hand(("cuda:0", "cuda:1"), ("cuda:0",) * 5 + ("cuda:1",) * 7),
    "tables on three": by_hand(("cuda:0", "cuda:1"), ("cuda:2",) * 4 + ("cuda:0",) * 4 + ("cpu",) * 4),
    "tables on the host": by_hand(("cuda:0", "cuda:1"), ("cpu",) * 12),
    "tables mapped": by_hand(("cuda:0", "cuda:1"), ("mmap",) * 12),
    "a layer on the host": by_hand(("cuda:0", "cpu"), ("mmap",) * 12, head="cuda:0"),
    "a layer on disk": by_hand(("cuda:0", "disk"), ("cpu",) * 12, head="cuda:0"),
    "all on disk": by_hand(("disk", "disk"), ("mmap",) * 12, embed="cpu", head="cpu"),
    "planned": plan(
        WEIGHTS, [Place("cuda:0", 2 << 20), Place("cuda:1", 3 << 20)], 1 << 30, context=64, reserve=0
    ),
}


@pytest.mark.parametrize("placed", PLACEMENTS.values(), ids=PLACEMENTS)
def test_every_placement_computes_the_same(placed: Plan, checkpoint: Path, tmp_path: Path) -> None:
    model = load(checkpoint, placed, emulate=EMULATED, offload=tmp_path / "offload")
    assert torch.equal(logits(model), logits(random_model(TINY, seed=1)))
    assert not list((tmp_path / "offload").glob("*")), "nothing is left behind"


def test_kinds_of_tables_by_place(checkpoint: Path) -> None:
    def tables(name: str) -> object:
        return load(checkpoint, PLACEMENTS[name], emulate=EMULATED).tables

    assert isinstance(tables("one device"), DeviceTables)
    assert isinstance(tables("tables split"), SplitTables)
    assert isinstance(tables("tables mapped"), MmapTables)


def test_mapped_tables_are_the_files_own_bytes(checkpoint: Path) -> None:
    model = load(checkpoint, PLACEMENTS["tables mapped"], emulate=EMULATED)
    assert isinstance(model.tables, MmapTables)
    stored = open_checkpoint(checkpoint).tensors["model.ngram_embeddings.embedders.11.weight"]
    raw = stored.file.read_bytes()[stored.begin : stored.end]
    block = model.tables.rows[11].block
    assert torch.equal(block, torch.frombuffer(bytearray(raw), dtype=torch.float32).view(stored.shape))


@pytest.mark.parametrize("name", ["tables mapped", "one device"])
def test_what_was_prefetched_is_taken(name: str, checkpoint: Path) -> None:
    tables = load(checkpoint, PLACEMENTS[name], emulate=EMULATED).tables
    assert tables is not None
    generator = torch.Generator().manual_seed(0)
    asked = [torch.randint(0, 1281, (length, 12), generator=generator) for length in (1, 3, 40, 3, 2, 5, 7)]
    expected = [tables.gather(ids) for ids in asked]
    for ids in asked:
        tables.prefetch(ids)
    for ids, rows in reversed(list(zip(asked, expected, strict=True))):
        assert torch.equal(tables.gather(ids), rows)
        assert torch.equal(tables.gather(ids), rows), "a second time without it"
    tables.close()


def test_loads_in_another_type_and_without_a_plan(checkpoint: Path) -> None:
    model = load(checkpoint, dtype="bfloat16")
    assert model.dtype == torch.bfloat16
    assert model.model.layers[0].mlp.router.classifier.weight.dtype == torch.float32  # type: ignore[union-attr]
    assert 0.98 < likeness(model, random_model(TINY, seed=1)) < 1


def test_progress_is_told_for_every_tensor(checkpoint: Path) -> None:
    told: list[tuple[int, int]] = []
    load(checkpoint, progress=lambda done, count: told.append((done, count)))
    assert told == [(i, 127) for i in range(1, 128)]


def test_the_draft_head_is_left_out(checkpoint: Path) -> None:
    draft = {"model.mtp.embed_tokens.weight": torch.zeros(4, 4), "model.mtp.norm.weight": torch.zeros(3)}
    edit_shard(checkpoint, SHARDS[2], lambda tensors: tensors.update(draft))
    assert open_checkpoint(checkpoint).skipped == 2
    assert torch.equal(logits(load(checkpoint)), logits(random_model(TINY, seed=1)))


def test_one_file_without_an_index_is_enough(checkpoint: Path, tmp_path: Path) -> None:
    write_checkpoint(random_model(TINY, seed=1), tmp_path / "one", shards=1)
    (tmp_path / "one" / INDEX).unlink()
    (tmp_path / "one" / "model-00001-of-00001.safetensors").rename(tmp_path / "one" / "model.safetensors")
    assert torch.equal(logits(load(tmp_path / "one")), logits(load(checkpoint)))


def test_a_seed_is_a_model() -> None:
    assert torch.equal(logits(random_model(TINY, seed=3)), logits(random_model(TINY, seed=3)))
    assert not torch.allclose(logits(random_model(TINY, seed=3)), logits(random_model(TINY, seed=4)))


def drop(name: str) -> Callable[[Path], object]:
    return lambda folder: edit_shard(folder, shard_of(folder, name), lambda tensors: tensors.pop(name))


def put(name: str, tensor: torch.Tensor) -> Callable[[Path], object]:
    return lambda folder: edit_shard(folder, SHARDS[0], lambda tensors: tensors.update({name: tensor}))


def change(name: str, tensor: torch.Tensor) -> Callable[[Path], object]:
    return lambda f: edit_shard(f, shard_of(f, name), lambda tensors: tensors.update({name: tensor}))


def cut(bytes_kept: int) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        whole = (folder / SHARDS[1]).read_bytes()
        (folder / SHARDS[1]).write_bytes(whole[:bytes_kept])

    return spoil


def overwrite(at: int, content: bytes) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        whole = bytearray((folder / SHARDS[1]).read_bytes())
        whole[at : at + len(content)] = content
        (folder / SHARDS[1]).write_bytes(whole)

    return spoil


def reindex(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text())
        change(index)
        (folder / INDEX).write_text(json.dumps(index))

    return spoil


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing tensor": (drop(EXPERT), f"lacks tensor {EXPERT}; fetch"),
    "extra tensor": (
        put("model.layers.9.norm.weight", torch.ones(3)),
        "holds tensor model.layers.9.norm.weight",
    ),
    "misshapen": (
        change(EXPERT, torch.ones(64, 95)),
        f"{EXPERT} is [64, 95] where config.json makes it [64, 96]",
    ),
    "of integers": (change("model.norm.weight", torch.ones(96, dtype=torch.int32)), "of type I32"),
    "fp8": (
        change("model.norm.weight", torch.ones(96).to(torch.float8_e4m3fn)),
        "has no quantization_config",
    ),
    "fp8 scales": (put("model.norm.weight_scale_inv", torch.ones(1)), "which is not FP8; take the bfloat16"),
    "cut in the data": (cut(100_000), "has 100,000 bytes where its header says"),
    "cut in the header": (cut(100), "no safetensors file or is cut short"),
    "empty": (cut(0), "no safetensors file or is cut short"),
    "header of noise": (overwrite(8, b"\xff\xfe\x00"), "corrupt header"),
    "length of noise": (overwrite(0, b"\xff" * 8), "no safetensors file or is cut short"),
    "shard missing": (lambda f: (f / SHARDS[1]).unlink(), f"{SHARDS[1]} is missing; fetch this file again"),
    "index missing": (lambda f: (f / INDEX).unlink(), "neither model.safetensors.index.json nor"),
    "index of noise": (lambda f: (f / INDEX).write_text("{"), "no index of safetensors"),
    "index elsewhere": (reindex(lambda i: i["weight_map"].update(x="../x")), "no file of this folder"),
    "index too rich": (
        reindex(lambda i: i["weight_map"].update({"lm_head.weight": SHARDS[0]})),
        "which model.safetensors.index.json says it has",
    ),
    "twice": (put("lm_head.weight", torch.ones(320, 96)), "lm_head.weight is in"),
    "other shape": (lambda f: edit_config(f, {"vocab_size": 319}), "where config.json makes it"),
    "fewer experts": (
        lambda f: edit_config(f, {"n_routed_experts": 7}),
        "does not have",
    ),
    "more layers": (lambda f: edit_config(f, {"num_layers": 3}), "tensors model.layers.2."),
    "another model": (lambda f: edit_config(f, {"architectures": ["LlamaForCausalLM"]}), "LlamaForCausalLM"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_checkpoint_is_one_clear_line(
    spoil: Callable[[Path], object], said: str, checkpoint: Path
) -> None:
    spoil(checkpoint)
    with pytest.raises(CheckpointError) as refused:
        load(checkpoint)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_plan_of_another_shape_and_a_disk_without_a_folder(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="not the one that the placement was planned for"):
        load(checkpoint, Plan.single(Weights(LiteConfig.lite())))
    with pytest.raises(PlacementError, match=r"give --set local\.offload=DIR"):
        load(checkpoint, PLACEMENTS["all on disk"])
    with pytest.raises(CheckpointError, match="no type of torch"):
        random_model(TINY, dtype="float12")
    with pytest.raises(CheckpointError, match="is no folder"):
        open_checkpoint(checkpoint / "elsewhere", TINY)


def test_int8_is_the_rounded_weight() -> None:
    weight = torch.randn(5, 7, 33, generator=torch.Generator().manual_seed(0))
    weight[2, 3] = 0
    values, scale = quantise(weight)
    assert (values.dtype, scale.shape) == (torch.int8, (5, 7))
    error = (dequantise(values, scale, torch.float32) - weight).abs()
    assert (error <= scale.unsqueeze(-1) / 2 + 1e-6).all()
    assert (values.abs().amax(-1) == 127).sum() == 34, "every row but the one of zeros uses the whole range"


@pytest.mark.parametrize(
    "quant", [Quantisation("int8"), Quantisation("none", "int8"), Quantisation("int8", "int8")]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_quantised_on_the_way_equals_quantised_before(
    quant: Quantisation, dtype: str, checkpoint: Path
) -> None:
    whole = random_model(TINY, seed=1)
    model = load(checkpoint, dtype=dtype, quant=quant)
    assert 0.98 < likeness(model, whole) < 1
    if quant.experts == "int8":
        layer = model.layers[1].mlp.experts
        gate = whole.layers[1].mlp.experts.gate_up[3]
        values, scale = quantise(gate)
        assert torch.equal(layer.gate_up[3], values)
        assert layer.gate_up_scale is not None
        assert torch.equal(layer.gate_up_scale[3], scale)
    with pytest.raises(CheckpointError, match="quantised model is not written"):
        write_checkpoint(model, checkpoint)


def test_layers_on_disk_are_not_packed_into_memory(checkpoint: Path, tmp_path: Path) -> None:
    model = load(checkpoint, PLACEMENTS["a layer on disk"], emulate=EMULATED, offload=tmp_path / "offload")
    expected = logits(model)
    model.pack()
    assert model.layers[1].mlp.experts.gate_up.numel() == 8 * 128 * 96
    torch.testing.assert_close(logits(model), expected, atol=1e-5, rtol=1e-5)


def test_huge_random_weights_repeat_a_drawn_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_weights, "DRAWN_ON_CPU", 1000)
    model = random_model(TINY, seed=5)
    head = model.lm_head.weight
    assert torch.equal(head[10:20], head[:10]), "1000 // 96 rows are drawn"
    assert not torch.equal(head[1], head[0])
    assert logits(model).isfinite().all()
