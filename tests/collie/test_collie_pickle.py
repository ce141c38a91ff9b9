"""The official file is a pickle: it is read without running it, and a hostile one is refused in one line."""

import os
import pickle
import pickletools
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import Cli
from hypothesis import given
from hypothesis import strategies as st
from made_up_collie import MODULES, constraint, groups, importable, made, pickled

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.collie.data import MOST_TARGETS, OPERATIONS, read_pickle

GOOD = pickled(groups())
PROTO4 = b"\x80\x04"


def text(value: str) -> bytes:
    """A text as protocol 4 writes it."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(module: str, name: str, argument: str) -> bytes:
    """A pickle that calls module.name(argument)."""
    return PROTO4 + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that create `marker`, or worse, where they are loaded as usual."""
    touch, code = f"touch {marker}", f"__import__('pathlib').Path({str(marker)!r}).touch()"

    class Reduced:
        def __reduce__(self) -> Any:
            return os.system, (touch,)

    class Nested:
        def __reduce__(self) -> Any:
            return eval, (code,)

    poisoned = groups()
    poisoned["made_c07"][0]["metadata"] = Reduced()
    whole = {f"protocol {p}": pickle.dumps({"wiki_c07": [Reduced()]}, protocol=p) for p in range(6)}
    dotted = "Constraint.__init__.__globals__"
    return {
        **whole,
        "in a good file": pickled(poisoned),
        "eval": pickle.dumps(Nested(), protocol=4),
        "eval by call": call("builtins", "eval", code),
        "exec": call("builtins", "exec", code),
        "getattr": call("builtins", "getattr", "x"),
        "subprocess": call("subprocess", "getoutput", touch),
        "dill eval": call("dill._dill", "_eval_repr", code),
        "dill import": call("dill._dill", "_import_module", "os"),
        "dill code": call("dill._dill", "_create_code", "x"),
        "dotted": call("collie.constraints", dotted, "os"),
        "a class beyond": call("collie.constraints", "Aggregate", "x"),
        "a module of ours": call("longcat_eval.cli.main", "main", "x"),
        "GLOBAL": b"cos\nsystem\n(S'" + touch.encode() + b"'\ntR.",
        "INST": b"(S'" + touch.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + touch.encode() + b"'\no.",
        "EXT1": PROTO4 + b"\x82\x01.",
        "PERSID": b"Pelsewhere\n.",
        "BINPERSID": PROTO4 + text("elsewhere") + b"Q.",
        "NEXT_BUFFER": b"\x80\x05\x97.",
        "a memo of 32 GB": PROTO4 + b"Nr" + struct.pack("<I", 2**32 - 1) + b"0N.",
        "bytes of 4 EB": PROTO4 + b"\x8e" + struct.pack("<Q", 2**62) + b".",
        "text of 4 GB": PROTO4 + b"X" + struct.pack("<I", 2**32 - 1) + b".",
        "frame of 4 EB": PROTO4 + b"\x95" + struct.pack("<Q", 2**62) + b"N.",
        "arguments of a class": PROTO4
        + text("collie.constraints")
        + text("Count")
        + b"\x93"
        + text("x")
        + b"\x85R.",
    }


@pytest.mark.parametrize("name", hostile(Path("/x")))
def test_a_hostile_pickle_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    content = hostile(marker)[name]
    with pytest.raises(EnvironmentUnusableError) as caught:
        read_pickle(content, "all_data.dill")
    said = str(caught.value)
    assert said.startswith("all_data.dill is not COLLIE's official file and is not opened any further: ")
    assert "\n" not in said
    assert not marker.exists()


@pytest.mark.parametrize("name", ["protocol 0", "protocol 4", "eval by call", "dill eval", "GLOBAL", "OBJ"])
def test_the_payloads_would_have_run(name: str, tmp_path: Path) -> None:
    """A payload that does nothing anyway would prove nothing."""
    marker = tmp_path / "ran"
    content = hostile(marker)[name]
    with importable(MODULES):
        pickle.loads(content)
    assert marker.exists()


def test_the_command_refuses_it_before_anything_is_asked(cli: Cli, tmp_path: Path, punkt: Path) -> None:
    folder = tmp_path / "collie"
    folder.mkdir()
    marker = tmp_path / "ran"
    (folder / "all_data.dill").write_bytes(hostile(marker)["in a good file"])
    ran = cli(
        "run", "--task", "collie", "--model", "scripted/null", "--data-dir", tmp_path, "-o", tmp_path / "r"
    )
    assert ran.code == 5
    assert ran.err.count("\n") == 1
    assert "all_data.dill is not COLLIE's official file" in ran.err
    assert "it asks for posix.system" in ran.err
    assert not marker.exists()
    assert not (tmp_path / "r").exists()


def test_what_the_file_may_use_is_what_ours_uses() -> None:
    used = {operation.name for operation, _, _ in pickletools.genops(GOOD)}
    assert used <= OPERATIONS
    assert {"STACK_GLOBAL", "NEWOBJ", "BUILD", "REDUCE"} <= used


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"constraint": None}, "a constraint is of no known kind"),
        ({"constraint": made("Constraint")}, "a constraint lacks transformation"),
        ({"constraint": made("All", callables=made("Count"))}, "a constraint has no readable parts"),
        (
            {"constraint": constraint(None, "word", made("Count", count_target="x"), "==")},
            "a constraint measures by no known rule",
        ),
        (
            {"constraint": constraint(None, "phrase", made("Count", count_target=None), "==")},
            "Invalid enum value 'phrase'",
        ),
        (
            {"constraint": constraint(None, "word", made("Count", count_target=None), "!=")},
            "Invalid enum value '!='",
        ),
        ({"prompt": None}, "a text is missing or too long"),
        ({"example": "x" * 60_000}, "a text is missing or too long"),
        ({"targets": [1.5]}, "it uses the pickle operation BINFLOAT"),
        ({"targets": None}, "Expected"),
        ({"targets": ["x"] * (MOST_TARGETS + 1)}, "an item has more than 100 targets"),
        ({"targets": [["x"] * (MOST_TARGETS + 1)]}, "an item has more than 100 targets"),
        ({"targets": [[["x"]]]}, "Expected"),
    ],
)
def test_an_item_of_another_shape_is_named(change: dict[str, Any], said: str) -> None:
    changed = groups()
    changed["made_c07"][0] |= change
    with pytest.raises(EnvironmentUnusableError) as caught:
        read_pickle(pickled(changed), "f.dill")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "value", [[], {"a": 1}, {"a": [1]}, {"a": [{}]}, {1: [groups()["made_c07"][0]]}, "x"]
)
def test_another_shape_of_file_is_refused(value: Any) -> None:
    with pytest.raises(EnvironmentUnusableError, match="is not COLLIE's official file"):
        read_pickle(pickled(value), "f.dill")


def test_depth_costs_nothing() -> None:
    deep = PROTO4 + b")" + b"\x85" * 200_000 + b"."
    with pytest.raises(EnvironmentUnusableError, match="it is no dict of lists"):
        read_pickle(deep, "f.dill")


@given(st.data())
def test_whatever_is_damaged_is_an_error_that_says_so(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for damaged in (bytes(content), GOOD[:cut]):
        with suppress(EnvironmentUnusableError):
            assert all(isinstance(row["prompt"], str) for row in read_pickle(damaged, "f.dill"))
