from pathlib import Path

import pytest

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.presets import FILE, load_presets, read_presets

EXPECTED = {
    "longcat-flash-lite",
    "longcat-flash-chat",
    "kimi-linear-48b-a3b",
    "qwen3-next-80b-a3b-instruct",
    "gemini-2.5-flash-lite",
    "gpt-4.1",
    "gpt-4.1-2025-04-14",
    "smollm2-135m-instruct",
}


def test_every_promised_preset_is_there() -> None:
    assert load_presets().presets.keys() == EXPECTED


def test_longcat_flash_lite_is_what_its_card_says() -> None:
    lite = load_presets().presets["longcat-flash-lite"]
    sampling = {name: sourced.value for name, sourced in lite.sampling.items()}
    assert sampling == {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}
    assert isinstance(sampling["top_k"], int)  # servers refuse 4.0
    assert {sourced.source for sourced in lite.sampling.values()} == {"lite-card"}
    assert lite.context_length is not None
    assert lite.context_length.value == 256 * 1024
    assert lite.tool_parser is not None
    assert lite.tool_parser.value == "longcat_xml"
    assert lite.unknown == ("price",)


def test_what_nobody_published_stays_unknown() -> None:
    presets = load_presets().presets
    assert presets["kimi-linear-48b-a3b"].unknown == ("sampling", "price")
    assert presets["longcat-flash-chat"].unknown == ("sampling", "price")


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_base_url_stands_only_at_fixed_public_endpoints(name: str) -> None:
    preset = load_presets().presets[name]
    assert (preset.base_url is not None) == (preset.api_key_env is not None)
    if preset.base_url is not None:
        assert preset.base_url.value.startswith("https://")


def test_a_preset_is_found_by_name_and_by_hub_id_in_any_case() -> None:
    presets = load_presets()
    assert presets.find("LongCat-Flash-Lite") == "longcat-flash-lite"
    assert presets.find("meituan-longcat/longcat-flash-lite") == "longcat-flash-lite"
    assert presets.find("longcat") is None


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "presets.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


BROKEN = {
    "unknown field": (
        "    label: LongCat-Flash-Lite\n",
        "    lable: LongCat-Flash-Lite\n",
        ["preset longcat-flash-lite", "`lable`", "did you mean 'label'"],
    ),
    "unknown field of a value": (
        "temperature: {value: 0.7, from: lite-card}",
        "temperature: {valeu: 0.7, from: lite-card}",
        ["preset longcat-flash-lite", "`valeu`", "did you mean 'value'", "sampling"],
    ),
    "no source": ("{value: 0.7, from: lite-card}", "{value: 0.7}", ["longcat-flash-lite", "`from`"]),
    "unknown source": (
        "{value: 0.7, from: lite-card}",
        "{value: 0.7, from: lite-crad}",
        ["sampling.temperature", "'lite-crad'", "did you mean 'lite-card'"],
    ),
    "wrong type": ("{value: 262144, from: lite-card}", "{value: 256k, from: lite-card}", ["context_length"]),
    "unknown parser": ("{value: longcat_xml,", "{value: longcat,", ["tool_parser", "longcat"]),
    "a third section": ("presets:\n", "models: {}\npresets:\n", ["`sources:` and `presets:`"]),
    "not YAML": ("presets:\n", "presets: [\n", ["not YAML"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_line_with_file_and_place(case: str, tmp_path: Path) -> None:
    old, new, said = BROKEN[case]
    path = changed(tmp_path, old, new)
    with pytest.raises(UsageError) as caught:
        read_presets(path)
    message = str(caught.value)
    assert message.count("\n") == 0
    for words in [str(path), *said]:
        assert words in message


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.yaml"):
        read_presets(tmp_path / "gone.yaml")
