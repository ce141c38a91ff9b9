"""`longcat-eval model inspect` and `model plan`: what they tell, and how they end."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli
from longcat_checkpoints import SHARDS, edit_config

from longcat_eval.model_backend.longcat.config import LITE_ROPE, LiteConfig
from longcat_eval.model_backend.longcat.inspect import ABSENT, chat_template, deviations, inspect


def deviating(**changes: Any) -> dict[str, tuple[Any, str]]:
    found = {**LiteConfig.lite().to_json(), **changes}
    found = {name: value for name, value in found.items() if value is not ...}
    return {one.field: (one.found, one.evidence) for one in deviations(found, LiteConfig.read(found))}


def test_the_known_shape_does_not_deviate() -> None:
    assert deviating() == {}
    assert deviating(lora_norm_eps=...) == {}, "no config.json has it"


def test_deviations_name_the_value_and_the_evidence() -> None:
    assert deviating(rope_theta=1e7) == {"rope_theta": (1e7, "read in public ports")}
    assert deviating(pad_token_id=0) == {"pad_token_id": (0, "inferred")}
    assert deviating(pad_token_id=...) == {"pad_token_id": (ABSENT, "inferred")}
    assert deviating(rope_scaling=None)["rope_scaling"][0] is None
    rope = deviating(rope_scaling={"type": "yarn", "factor": 10, "mscale_all_dim": 1, "beta_fast": 64})
    assert rope["rope_scaling.beta_fast"] == (64.0, "inferred")
    assert rope["rope_scaling.mscale"] == (0.0, "inferred")
    assert rope["rope_scaling.beta_slow"] == (ABSENT, "inferred")
    assert rope["rope_scaling.original_max_position_embeddings"][0] == 327_680.0
    assert rope["rope: factor on cos and sin"][0] == pytest.approx(1.2302585)
    assert "rope_scaling.rope_type" not in rope


def test_rope_fields_may_be_whole_numbers() -> None:
    whole = {**LITE_ROPE, "factor": 10, "beta_fast": 32, "beta_slow": 1, "mscale": 1, "mscale_all_dim": 1}
    assert deviating(rope_scaling=whole) == {}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("chat_template.jinja", "T"),
        ("chat_template.json", json.dumps({"chat_template": "T"})),
        ("tokenizer_config.json", json.dumps({"chat_template": "T"})),
        ("tokenizer_config.json", json.dumps({"chat_template": [{"name": "default", "template": "T"}]})),
    ],
)
def test_the_template_is_found_where_transformers_looks(file: str, content: str, tmp_path: Path) -> None:
    assert chat_template(tmp_path) is None
    (tmp_path / file).write_text(content)
    assert chat_template(tmp_path) == "T"


def test_special_ids_of_every_file(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 9]}))
    tokenizer = {"eos_token": {"content": "</longcat_s>"}, "bos_token": "<s>", "pad_token": None}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    special = inspect(checkpoint).special
    assert special["generation_config.eos_token_id"] == [2, 9]
    assert (special["eos_token"], special["bos_token"]) == ("</longcat_s>", "<s>")
    assert "pad_token" not in special


def test_inspect_prints_the_folder(cli: Cli, checkpoint: Path) -> None:
    edit_config(checkpoint, {"auto_map": {"AutoModel": "x.Y"}, "surprise": "\x1b[31m"})
    (checkpoint / "chat_template.jinja").write_text("T")
    done = cli("model", "inspect", checkpoint)
    assert done.code == 0
    assert "807,480 in 127 tensors" in done.out
    assert "3 shards" in done.out
    assert "type yarn, theta 10000.0" in done.out
    assert "special ids: bos 1, eos 2, pad 3" in done.out
    assert hashlib.sha256(b"T").hexdigest()[:12] in done.out
    assert "it is not executed" in done.out
    assert "surprise is" in done.out
    assert "\x1b" not in done.out
    assert "warn: hidden_size is 96, known is 3072" in done.out


def test_inspect_tells_machines_too(cli: Cli, checkpoint: Path) -> None:
    done = cli("model", "inspect", checkpoint, "--json")
    facts = json.loads(done.out)
    assert facts["files"]["dtypes"] == {"F32": 127}
    assert facts["problem"] is None
    assert {name: value for name, value in facts["deviations"][0].items() if name != "evidence"} == {
        "field": "vocab_size",
        "found": 320,
        "given": True,
        "known": 131072,
    }


def test_inspect_fails_where_loading_would(cli: Cli, checkpoint: Path) -> None:
    (checkpoint / SHARDS[1]).unlink()
    done = cli("model", "inspect", checkpoint)
    assert done.code == 5
    assert f"{SHARDS[1]} is missing; fetch this file again" in done.out
    assert "warn: hidden_size" in done.out, "what the config says is told all the same"
    edit_config(checkpoint, {"vocab_size": 282_624})
    done = cli("model", "inspect", checkpoint)
    assert (done.code, done.out) == (5, "")
    assert "LongCat-Next" in done.err


def test_plan_prints_bytes_that_add_up(cli: Cli) -> None:
    done = cli("model", "plan", "--gpus", "2x80", "--host", "128")
    assert done.code == 0
    assert "cuda:0  n-gram tables 0-11" in done.out
    assert "137,157,970,944" in done.out
    assert "KV cache: 32,256 bytes per token" in done.out
    facts = json.loads(cli("model", "plan", "--gpus", "2x80", "--host", "128", "--json").out)
    assert sum(item["bytes"] for item in facts["items"]) == facts["total_bytes"] == 137_157_970_944
    assert facts["kv_tokens"] == min(
        place["kv_tokens"] for place in facts["places"].values() if place["used"]
    )


def test_plan_of_a_folder_on_this_machine(cli: Cli, checkpoint: Path) -> None:
    done = cli("model", "plan", checkpoint, "--gpus", "none", "--context", "100", "--quant", "int8")
    assert done.code == 0
    assert "int8 experts (weight-only, symmetric, per row); n-gram tables: host" in done.out
    assert "the CPU computes everything" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "2x"], "'2x' is not like 2x80"),
        (["--gpus", "none", "--host", "8"], "does not fit: 69.2 GiB"),
        (["--gpus", "80", "--tables", "ram"], "there are auto, device, split, host, mmap"),
        (["--gpus", "80", "--quant", "int4"], "--quant int4: it is none or int8"),
        (["--gpus", "80", "--dtype", "int4"], "no type 'int4'"),
        (["--gpus", "80", "--context", "0"], "--context must be at least 1"),
        (["nowhere"], "nowhere does not exist"),
    ],
)
def test_plan_refuses_in_one_line(arguments: list[str], said: str, cli: Cli) -> None:
    done = cli("model", "plan", *arguments)
    assert done.code in (2, 5)
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["inspect", "CHECKPOINT"], ["plan", "--gpus", "80", "--host", "128"]])
def test_a_checkpoint_is_looked_at_without_torch(arguments: list[str], checkpoint: Path) -> None:
    words = [
        "longcat-eval",
        "model",
        *[str(checkpoint) if word == "CHECKPOINT" else word for word in arguments],
    ]
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'safetensors'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"sys.argv = {words!r}\n"
        "from longcat_eval.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rope: type yarn" in done.stdout or "n-gram tables: host" in done.stdout


def test_a_folder_without_a_tokenizer_is_told(checkpoint: Path) -> None:
    told = "no tokenizer.json in the folder; serve and run need the checkpoint's"
    assert told in inspect(checkpoint).notes
    (checkpoint / "tokenizer.json").write_text("{}")
    assert told not in inspect(checkpoint).notes
