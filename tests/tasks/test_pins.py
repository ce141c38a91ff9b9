"""pins.json: written whole or not at all, unreadable is said."""

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.pins import Pin, pins_file, read_pins, record_pin


def test_what_is_noted_is_read_back_beside_what_was_there() -> None:
    assert read_pins() == {}
    one, two = Pin("o/a", "1" * 40, ["a.csv"]), Pin("o/b", "2" * 40, [], "f" * 64)
    record_pin("a", one)
    record_pin("b", two)
    assert read_pins() == {"a": one, "b": two}
    assert [p.name for p in pins_file().parent.iterdir()] == ["pins.json"]


def test_a_damaged_file_is_named_with_the_remedy() -> None:
    pins_file().parent.mkdir(parents=True)
    pins_file().write_text("{")
    with pytest.raises(EnvironmentUnusableError, match=r"pins\.json cannot be read .*: delete it"):
        read_pins()


def test_a_folder_that_cannot_be_written_is_named() -> None:
    pins_file().parent.parent.mkdir(parents=True, exist_ok=True)
    pins_file().parent.write_text("a file")
    with pytest.raises(EnvironmentUnusableError, match=r"cannot (read|write|be read)"):
        record_pin("a", Pin("o/a", "1" * 40, []))
