"""How replies of Terminus agents are read: every rule of recovery, and no reply that breaks a reader."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminus_play import tags, types, types1
from terminus_replies import GRAMMARS

from longcat_eval.runners.agent.terminus.answer import Answer, Command
from longcat_eval.runners.agent.terminus.json_answer import balanced_object, read_json
from longcat_eval.runners.agent.terminus.terminus1_answer import ABOUT, answer_schema, read_terminus1
from longcat_eval.runners.agent.terminus.xml_answer import read_xml, salvage_xml

READERS = {"json": read_json, "xml": read_xml, "terminus-1": read_terminus1}
LS = (Command("ls\n", 0.5),)
HUGE = "9" * 5_000
JSON = types("ls\n", seconds=0.5)
XML = tags("ls\n", seconds=0.5)


def written(commands: str = '[{"keystrokes": "ls\\n", "duration": 0.5}]', more: str = "") -> str:
    return f'{{"analysis": "a", "plan": "p", "commands": {commands}{more}}}'


def tagged(commands: str, more: str = "") -> str:
    return f"<response><analysis>a</analysis><plan>p</plan>{commands}{more}</response>"


@pytest.mark.parametrize(
    ("reply", "warnings"),
    [
        (JSON, 0),
        (written(more=', "task_complete": "no"'), 0),
        ("Sure:\n" + JSON, 1),
        (f"```json\n{JSON}\n```", 2),
        (JSON + JSON, 1),
        (JSON[:-1], 1),
        ('{"a": 1', None),
        (written().replace('"a"', '"{"'), 0),
        (written().replace('"a"', '"}}\\"{"'), 0),
        (written(more=', "thoughts": "x"'), 0),
        (written().replace('"a"', "3"), 1),
        (written(more=', "task_complete": 0'), 1),
        (written(more=', "task_complete": null'), 0),
        (written('[{"keystrokes": "ls\\n", "duration": 0.5, "wait": 1, "x": 2}]'), 1),
        ('{"plan": "p", "analysis": "a", "commands": [{"keystrokes": "ls\\n", "duration": 0.5}]}', 1),
        ("} " + written(), 1),
        ('An example: {"a": 1}, and mine:\n' + JSON, None),
        ("I'd say \"hm: " + JSON, 1),
    ],
)
def test_json_is_found_and_remarked_on(reply: str, warnings: int | None) -> None:
    answer = read_json(reply)
    if warnings is None:
        assert answer.error
        return
    assert (answer.error, answer.commands, len(answer.warnings)) == ("", LS, warnings)
    assert not answer.complete


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no complete JSON object"),
        ("hm", "no complete JSON object"),
        ("[]", "no complete JSON object"),
        ("{analysis: 1}", "cannot be read"),
        ("{}", "lacks `analysis`, `plan`, `commands`"),
        ('{"analysis": "", "commands": []}', "lacks `plan`"),
        (written('"ls"'), "`commands` must be an array"),
        (written('["ls"]'), "Command 1 must be an object"),
        (written('[{"keystrokes": "a\\n"}, {"duration": 1}]'), "Command 2 has no `keystrokes`"),
        (written('[{"keystrokes": ["a"]}]'), "`keystrokes` of command 1 must be a string"),
        (written(f'[{{"keystrokes": "a", "duration": {HUGE}}}]'), "cannot be read"),
        (written("[" * 100_000 + "]" * 100_000), "nested too deeply"),
    ],
)
def test_json_that_cannot_be_used_is_explained(reply: str, words: str) -> None:
    answer = read_json(reply)
    assert words in answer.error
    assert (answer.commands, answer.complete) == ((), False)


@pytest.mark.parametrize("reader", ["json", "xml"])
def test_a_duration_left_out_or_odd_is_one_second(reader: str) -> None:
    replies = {
        "json": [
            written('[{"keystrokes": "ls"}]'),
            written('[{"keystrokes": "ls", "duration": "5"}]'),
            written('[{"keystrokes": "ls", "duration": null}]'),
        ],
        "xml": [
            tagged("<commands><keystrokes>ls</keystrokes></commands>"),
            tagged('<commands><keystrokes duration="x">ls</keystrokes></commands>'),
            tagged('<commands><keystrokes duration="">ls</keystrokes></commands>'),
        ],
    }
    for reply in replies[reader]:
        answer = READERS[reader](reply)
        assert answer.commands == (Command("ls", 1.0),)
        assert len(answer.warnings) == 1


def test_durations_beyond_a_float_are_as_long_as_can_be() -> None:
    long = "1" + "0" * 400
    for said, seconds in ((long, float("inf")), (f"-{long}", 0.0), ("1e999", float("inf"))):
        (command,) = read_json(written(f'[{{"keystrokes": "a", "duration": {said}}}]')).commands
        assert command.seconds == seconds


def test_keys_without_a_newline_are_remarked_on_if_others_follow() -> None:
    for keys, warnings in ((["a"], 0), (["a\n", "b"], 0), (["a", "b\n"], 1), (["a", "b", "c"], 2)):
        assert len(read_json(types(*keys)).warnings) == warnings
        assert len(read_xml(tags(*keys)).warnings) == warnings
    assert read_json(types("", "b\n")).warnings == ()


@pytest.mark.parametrize("word", ["true", '"TRUE"', '"1"', '"Yes"', "1", "[0]"])
def test_a_complete_task_makes_errors_of_commands_remarks(word: str) -> None:
    done = f', "task_complete": {word}'
    answer = read_json(written('[{"keys": 1}]', done))
    assert (answer.complete, answer.error, answer.commands) == (True, "", ())
    assert "Command 1 has no `keystrokes`." in answer.warnings
    assert read_json(written(more=done)).commands == LS


@pytest.mark.parametrize("word", ["false", '"no"', "0", "null", '""', "[]"])
def test_a_task_is_not_complete_by_other_words(word: str) -> None:
    assert not read_json(written(more=f', "task_complete": {word}')).complete


def test_corrections_come_in_their_order() -> None:
    braces = read_json("Sure: " + JSON[:-1])
    assert "closing braces were added" in braces.warnings[0]
    assert "text before" in braces.warnings[1]
    taken = read_json('{ hm } and {"analysis": "a", "plan": "p", "commands": []}')
    assert taken.error == ""
    assert "taken out of the text" in taken.warnings[0]
    assert read_json('{ hm } {"a": 1} ' + JSON).error, "the first object that is JSON is the one"


@given(
    st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists, max_leaves=5)),
    st.text("ab \n"),
)
def test_a_json_object_is_found_whole_in_other_text(data: dict[str, object], around: str) -> None:
    text = json.dumps(data)
    place = balanced_object(around + text + around + "}")
    assert place == (len(around), len(around) + len(text))


@pytest.mark.parametrize(
    ("reply", "warnings"),
    [
        (XML, 0),
        (XML.removesuffix("</response>"), 0),
        (f"```xml\n{XML}\n```", 2),
        (XML + XML, 2),
        (XML.replace("<plan>p</plan>", ""), 1),
        (XML.replace("<plan>p</plan>", "<plan/>"), 0),
        (XML.replace("<plan>p</plan>", "<plan>p</plan><plan>p</plan>"), 1),
        (XML.replace("<plan>p</plan>", "<note>p</note><plan>p</plan>"), 1),
        (XML.replace("<plan>p</plan>", "<!-- <x> --><plan>p</plan>"), 0),
        (XML.replace("<plan>p</plan>", "< ><plan>p</plan>"), 1),
        (XML.replace("<analysis>a</analysis>\n<plan>p</plan>", "<plan>p</plan>\n<analysis>a</analysis>"), 1),
        (XML.replace('"0.5"', "'0.5'"), 1),
        (XML.replace('"0.5"', '"0.5" wait="1"'), 1),
        (XML.replace('"0.5"', '"0.5" wait=1'), 2),
        (XML.replace("</commands>", "</commands><commands></commands>"), 1),
    ],
)
def test_tags_are_found_and_remarked_on(reply: str, warnings: int) -> None:
    answer = read_xml(reply)
    assert (answer.error, answer.commands, len(answer.warnings)) == ("", LS, warnings)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no <response>"),
        ("ls", "no <response>"),
        ("<response></response>", "no <response>"),
        (tagged(""), "no <commands>"),
        (tagged("<commands><keystrokes>ls</keystrokes>"), "no <commands>"),
    ],
)
def test_tags_that_cannot_be_used_are_explained(reply: str, words: str) -> None:
    answer = read_xml(reply)
    assert words in answer.error
    assert not answer.commands


def test_what_is_between_tags_is_typed_as_it_stands() -> None:
    keys = 'if [ 1 < 2 ] && true; then echo "<b>&amp;</b>"; fi\n'
    answer = read_xml(tags(keys))
    assert [command.keystrokes for command in answer.commands] == [keys]
    assert ["&amp;" in warning for warning in answer.warnings] == [True]
    assert "\\r" in read_xml(tags("a\\r\\n")).warnings[0]


def test_a_complete_task_needs_no_commands_in_tags() -> None:
    done = "<task_complete> True\n</task_complete>"
    assert read_xml(tagged("", done)) == Answer(
        complete=True, analysis="a", plan="p", warnings=("The response has no <commands>.",)
    )
    assert read_xml(tagged("<commands/>", done)).warnings == ()
    assert "empty keystrokes" in read_xml(tagged("<commands/>")).warnings[0]
    for no in ("<task_complete/>", "<task_complete></task_complete>", "<task_complete>yes</task_complete>"):
        assert not read_xml(tagged("<commands/>", no)).complete


def test_only_the_first_block_is_taken() -> None:
    second = XML.replace("ls", "pwd")
    for reply in (XML + second, tagged("<commands></commands><commands></commands>")):
        assert read_xml(reply).several
    assert read_xml(XML + second).commands == LS
    assert not read_xml(XML + " and more").several


def test_a_whole_answer_is_salvaged_from_one_that_was_cut_off() -> None:
    assert salvage_xml(XML) == XML
    assert salvage_xml(XML + "\n<response><ana") == XML
    for reply in (
        XML[:-1],
        XML[:40],
        "",
        "x" + XML.replace("</commands>", "</commands><commands></commands>"),
    ):
        assert salvage_xml(reply) == ""


def test_terminus_1_takes_one_object_of_exactly_its_fields() -> None:
    answer = read_terminus1(types1("ls\n", done=True))
    assert answer.commands == (Command("ls\n", 5.0, True),)
    assert (answer.complete, answer.analysis, answer.plan, answer.error) == (True, "s", "e", "")
    loose = json.loads(types1("ls\n"))
    loose["commands"][0] |= {"is_blocking": "no", "timeout_sec": "1.5"}
    assert read_terminus1(json.dumps(loose)).commands == (Command("ls\n", 1.5, False),)
    for bad in (
        "",
        "hm",
        "[]",
        f"```json\n{types1()}\n```",
        types1().replace("explanation", "plan"),
        types1()[:-1] + ', "more": 1}',
        types1("ls\n").replace("5.0", '"soon"'),
    ):
        answer = read_terminus1(bad)
        assert "not one JSON object" in answer.error
        assert not answer.commands


def test_the_schema_tells_every_field() -> None:
    text = json.dumps(answer_schema())
    assert all(words in text for words in ABOUT.values())
    assert text.count('"additionalProperties": false') == 2


@pytest.mark.parametrize("grammar", sorted(GRAMMARS))
@given(seed=st.integers())
def test_no_reply_breaks_a_reader(grammar: str, seed: int) -> None:
    reply = GRAMMARS[grammar](random.Random(seed))
    answer = READERS[grammar](reply)
    assert not (answer.error and (answer.commands or answer.complete))
    assert all(isinstance(command.seconds, float) for command in answer.commands)
    if grammar == "xml" and (salvaged := salvage_xml(reply)):
        assert reply.startswith(salvaged)
        assert not read_xml(salvaged).error


@pytest.mark.parametrize("grammar", sorted(GRAMMARS))
@given(reply=st.text() | st.text('{}[]",:\\/<>=commandsresponsekeystrokes '))
def test_no_text_breaks_a_reader(grammar: str, reply: str) -> None:
    answer = READERS[grammar](reply)
    assert not (answer.error and (answer.commands or answer.complete))


@pytest.mark.parametrize(
    "reply",
    [
        "<analysis>" * 20_000,
        "<keystrokes" * 5_000,
        "{" * 60_000,
        '{"a": {' * 9_000,
        "{{a}" * 20_000,
        "<" * 90_000,
    ],
)
def test_replies_that_repeat_themselves_are_read_in_time(reply: str) -> None:
    for reader in READERS.values():
        assert reader(reply).error
        assert reader(f"<response>{reply}").error
