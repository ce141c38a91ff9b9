"""What a Terminus 2 is told, turn by turn: observations, remarks, the question at the end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminus_play import (
    DONE,
    TAGS_DONE,
    TASK,
    ListTerminal,
    cut,
    plain,
    play2,
    tags,
    types,
)

from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.terminus.answer import Answer
from longcat_eval.runners.agent.terminus.own_prompts import FORMS, own_prompts
from longcat_eval.runners.agent.terminus.view import View, new_part

OWN = own_prompts("json")
FRESH, SCREEN = OWN.fresh.partition("{")[0], OWN.screen.partition("{")[0]


def numbers(line: str) -> str:
    return "\n".join(map(str, range(int(line.split()[1])))) if line.startswith("seq") else ""


async def test_the_first_message_holds_form_task_and_screen() -> None:
    for grammar in FORMS:
        played = await play2(DONE if grammar == "json" else TAGS_DONE, prompts=grammar)
        first = played.prompt(0)
        assert TASK in first
        assert first.rstrip().endswith(f"{SCREEN}$")
        assert "{{" not in first
        assert FORMS[grammar][0] in first


async def test_keystrokes_are_one_element_as_they_stand() -> None:
    keys = ["C-c", "a;b -x\n", "ü\n", "", "cat <<E\n1\n2\nE\n"]
    played = await play2(types(*keys), DONE)
    assert played.terminal.sent == [key for key in keys if key]
    assert [entry["input"] for entry in played.episode.commands] == keys
    assert {entry["tool"] for entry in played.episode.commands} == {"terminal"}


async def test_what_is_new_is_shown_from_the_last_prompt_on() -> None:
    played = await play2(types("seq 3\n"), types("seq 2\n"), DONE, terminal=ListTerminal(numbers))
    assert played.prompt(1) == f"{FRESH}$ seq 3\n0\n1\n2\n$"
    assert played.prompt(2) == f"{FRESH}\n$ seq 2\n0\n1\n$"


async def test_the_screen_is_shown_of_a_history_that_is_another() -> None:
    played = await play2(types("seq 3\n"), types(""), DONE, terminal=ListTerminal(numbers))
    assert played.prompt(2).startswith(FRESH + "\n$")
    terminal = ListTerminal(numbers)
    terminal.text = "another shell\n$"
    view = View(terminal, OWN, 10_000)
    assert await view.look() == f"{SCREEN}another shell\n$"
    terminal.text = "cleared"
    assert await view.look() == f"{SCREEN}cleared"
    terminal.text = ""
    assert await view.look() == SCREEN


async def test_a_long_output_that_scrolled_off_the_screen_is_shown_whole() -> None:
    played = await play2(types("seq 300\n"), DONE, terminal=ListTerminal(numbers))
    assert played.prompt(1) == f"{FRESH}$ seq 300\n" + numbers("seq 300") + "\n$"


async def test_blank_lines_at_the_end_go_but_for_plain_prompts() -> None:
    played = await play2(types("x\n"), DONE)
    assert played.prompt(1) == f"{FRESH}$ x\n$"
    played = await play2(types("x\n"), DONE, prompts=plain(OWN))
    assert played.prompt(1) == f"{FRESH}$ x\n$" + "\n" * 39


def shortened(text: str, max_bytes: int = 10_000) -> str:
    return View(ListTerminal(), OWN, max_bytes).limited(text)


@given(st.text(), st.integers(10, 60))
def test_a_cut_keeps_whole_characters_of_both_ends(text: str, max_bytes: int) -> None:
    shown = shortened(text, max_bytes)
    if len(text.encode()) <= max_bytes:
        assert shown == text
        return
    head, _, tail = shown.partition("\n[... ")
    omitted, _, tail = tail.partition(" bytes left out here ...]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head.encode()) + len(tail.encode()) + int(omitted) == len(text.encode())
    assert max_bytes // 2 - 4 < len(head.encode()) <= max_bytes // 2
    assert max_bytes // 2 - 4 < len(tail.encode()) <= max_bytes // 2


def test_a_cut_in_the_middle_of_a_character_drops_it() -> None:
    text = "x" + "日" * 4_000
    shown = shortened(text)
    head, tail = 1 + 3 * 1666, 3 * 1666
    assert shown.startswith("x" + "日" * 1666 + "\n")
    assert shown.endswith("\n" + "日" * 1666)
    assert f"[... {12_001 - head - tail} bytes" in shown


async def test_an_observation_is_cut_at_its_limit() -> None:
    played = await play2(types("seq 5000\n"), DONE, terminal=ListTerminal(numbers))
    assert played.prompt(1).count("bytes left out here") == 1
    assert len(played.prompt(1).encode()) < 10_100
    (entry,) = played.episode.commands
    assert entry["output_chars"] == len(played.prompt(1))


async def test_plain_prompts_are_cut_twice_as_the_originals_cut_them() -> None:
    played = await play2(types("seq 5000\n"), DONE, terminal=ListTerminal(numbers), prompts=plain(OWN))
    assert int(played.prompt(1).split("[... ")[1].split()[0]) < 100


@given(st.text("ab$ \n"), st.text("ab$ \n"))
def test_what_was_added_is_in_what_is_new(before: str, added: str) -> None:
    assert new_part(before, before + added).endswith(added)


def test_a_history_that_is_another_has_no_new_part() -> None:
    assert new_part("one\ntwo", "three") == ""
    assert new_part("\n\n", "three") == "three"


async def test_the_claim_is_asked_about_and_another_answer_takes_it_back() -> None:
    played = await play2(DONE, types("ls\n"), DONE, "hm", types("x\n", done=True))
    assert (played.episode.end, played.episode.steps) == (ends.SUBMITTED, 5)
    question = OWN.confirm.format(terminal_state=f"{FRESH}$")
    assert played.prompt(1) == question
    assert played.prompt(2) == f"{FRESH}$ ls\n$"
    assert "once more" in played.prompt(3)
    assert played.terminal.sent == ["ls\n", "x\n"]


async def test_an_unreadable_reply_types_nothing_and_is_explained() -> None:
    played = await play2('{"analysis": "", "commands": [{"keystrokes": "rm\\n"}]}', "hm", DONE)
    assert played.terminal.sent == []
    told = [played.prompt(1), played.prompt(2)]
    assert "The JSON object lacks `plan`." in told[0]
    assert "no complete JSON object" in told[1]
    assert all(text.endswith("in the form described at the start.") for text in told)
    assert played.episode.format_errors == 2


async def test_remarks_come_before_the_observation() -> None:
    reply = 'So: {"plan": "", "analysis": "", "commands": [{"keystrokes": "a"}, {"keystrokes": "b\\n"}]}'
    played = await play2(reply, DONE)
    remarks, _, seen = played.prompt(1).partition(f"\n\n{FRESH}")
    assert remarks.count("\n- ") == 5
    assert seen == "$ a\n$ b\n$"
    assert played.episode.format_errors == 0


async def test_a_reply_that_was_cut_off_is_in_the_history_and_types_nothing() -> None:
    played = await play2(cut('So: {"analysis": "I wri'), DONE)
    assert played.terminal.sent == []
    assert played.agent.history(1)[1]["content"] == 'So: {"analysis": "I wri'
    assert played.prompt(1) == OWN.truncated
    whole = types("ls\n")
    played = await play2(cut(f"So: {whole}"), DONE)
    assert played.terminal.sent == []
    assert "before the JSON object" in played.prompt(1)


async def test_a_whole_answer_in_tags_that_were_cut_off_counts() -> None:
    xml = own_prompts("xml")
    played = await play2(cut(tags("ls\n") + "<response>\n<ana"), TAGS_DONE, prompts="xml")
    assert played.terminal.sent == ["ls\n"]
    assert played.agent.history(1)[1]["content"] == tags("ls\n")
    for text in (tags("ls\n")[:-15], tags("ls\n") + tags("pwd\n"), "<response>"):
        played = await play2(cut(text), TAGS_DONE, prompts="xml")
        sent = ["ls\n"] if text.endswith("</response>") else []
        assert played.terminal.sent == sent
        assert played.prompt(1).startswith(xml.truncated) != bool(sent)


async def test_reasoning_is_not_sent_back() -> None:
    from longcat_eval.records import Completion, Message, Usage

    message = Message("assistant", DONE, reasoning="hm", raw={"role": "assistant", "reasoning_content": "hm"})
    played = await play2(Completion(message, "stop", Usage(1, 1)))
    assert played.agent.history(1)[1] == {"role": "assistant", "content": DONE}


async def test_keys_that_are_no_text_can_be_kept() -> None:
    import msgspec

    played = await play2(
        '{"analysis": "", "plan": "", "commands": [{"keystrokes": "\\ud800", "\\ud800": 1}]}', DONE
    )
    assert msgspec.json.encode([played.episode.commands, played.agent.history()])


@pytest.mark.parametrize("grammar", sorted(FORMS))
def test_every_text_is_part_of_the_digest(grammar: str) -> None:
    prompts = own_prompts(grammar)
    assert set(prompts.grammar.texts) < set(prompts.texts)
    for name in ("first", "confirm", "summary", "truncated", "last_resort"):
        assert replace(prompts, **{name: "other"}).texts != prompts.texts


def test_feedback_names_the_error_first() -> None:
    answer = Answer(error="Bad.", warnings=("one", "two"))
    assert OWN.feedback(answer) == "Your last reply cannot be used. Bad.\nFurther remarks:\n- one\n- two"
    assert OWN.feedback(replace(answer, error="")) == "Remarks on your last reply:\n- one\n- two"
    assert OWN.feedback(Answer()) == ""
