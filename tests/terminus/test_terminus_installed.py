"""Prompts out of packages that look like terminal-bench and harbor: made-up words, and what is not there."""

import importlib.util
from pathlib import Path

import pytest
from terminus_play import DONE, play1, play2, types1

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.runners.agent.terminus.installed_prompts import installed_prompts, installed_prompts1
from longcat_eval.runners.agent.terminus.own_prompts import own_prompts

PARSER = """
from dataclasses import dataclass

@dataclass
class Result:
    error: str
    warning: str

class Terminus{name}PlainParser:
    def parse_response(self, response):
        if response == "boom":
            raise TypeError("boom")
        return Result("no good" if "{{" not in response else "", "- one\\n- two" if "odd" in response else "")
"""
AGENT = '''
import nothing_that_exists

class Agent:
    def _get_error_response_type(self):
        if self.kind == "json":
            return "JSON"
        return "tags"

    def _get_completion_confirmation_message(self, terminal_output):
        if self.kind == "json":
            return f"Now:\\n{terminal_output}\\n" 'Sure? {"yes"}'
        return f"Now:\\n{terminal_output}\\nSure? <yes>"

    def _limit_output_length(self, output):
        if not output:
            return output
        return f"{first_portion}[{max_bytes} {omitted_bytes}]{last_portion}"

    def _summarize(self, original_instruction):
        session = f"{self.id}-notes"
        summary_prompt = f"""Sum up {original_instruction}"""
        question_prompt = f"Ask: {original_instruction} {SUMMARY} {current_screen}"
        self.chat("Answer: " + model_questions)
        return "Here: " + ANSWERS + "." + " Go on."

    def _query_llm(self):
        warnings_text = ""
        warnings_text = f"Also {parse_result.warning}"
        QUERY

    def _handle_llm_interaction(self, result):
        feedback += f"E: {result.error}"
        feedback += f" W: {result.warning}"
        feedback += f"only W: {result.warning}"

    def _run_agent_loop(self):
        print(f"turn {episode}")
        prompt = (
            f"Bad: {feedback} "
            f"send {self._get_error_response_type()}"
        )
        prompt = f"Hm: {feedback} {self._limit_output_length(terminal_output)}"
'''
QUERY = {
    "terminal_bench": 'error_msg = "Too " "long"',
    "harbor": """short_prompt = f"Short {original_instruction} {limited_screen}"
        summary_prompt = f"{original_instruction} then {short_llm_response.content}"
        summary_prompt = f"{original_instruction} at {limited_screen}"
        limit_str = f"{output_limit} tokens"
        limit_str = "the limit"
        error_msg = f"Over {limit_str}" f"!" """,
}
NAMES = {
    "terminal_bench": {"SUMMARY": "summary_response", "ANSWERS": "model_answers"},
    "harbor": {"SUMMARY": "summary_response.content", "ANSWERS": "answers_response.content"},
}
SESSION = """
class Session:
    def get_incremental_output(self):
        if self.first:
            return f"Screen {self._get_visible_screen()}"
        return f"New {new_content}"
"""
TERMINUS_1 = """
import nothing_that_exists

class Command(BaseModel):
    keystrokes: str = Field(description="keys")
    model_config = ConfigDict(extra="forbid")

class CommandBatchResponse(BaseModel):
    commands: list[Command]
"""


@pytest.fixture(params=["terminal_bench", "harbor"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A package in `tmp_path`; importing it fails."""
    name: str = request.param
    make_package(name, tmp_path)
    return name


def make_package(name: str, site: Path) -> None:
    source = AGENT.replace("QUERY", QUERY[name])
    for word, meant in NAMES[name].items():
        source = source.replace(word, meant)
    folder = "agents/terminus_2"
    templates = "agents/prompt-templates" if name == "terminal_bench" else f"{folder}/templates"
    session = "terminal" if name == "terminal_bench" else folder
    files = {
        "__init__.py": "raise RuntimeError('imported')",
        f"{folder}/terminus_2.py": source,
        f"{folder}/terminus_json_plain_parser.py": PARSER.format(name="JSON"),
        f"{folder}/terminus_xml_plain_parser.py": PARSER.format(name="XML"),
        f"{session}/tmux_session.py": SESSION,
        f"{templates}/terminus-json-plain.txt": "J {{x}} {instruction} {terminal_state}",
        f"{templates}/terminus-xml-plain.txt": "X {instruction} {terminal_state}",
        f"{templates}/timeout.txt": "late {timeout_sec} {command} {terminal_state}",
        f"{templates}/terminus.txt": "T1 {response_schema} {instruction} {history} {terminal_state}",
        "agents/terminus_1.py": TERMINUS_1,
    }
    for path, text in files.items():
        (site / name / path).parent.mkdir(parents=True, exist_ok=True)
        (site / name / path).write_text(text)
    info = site / f"{name}-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2.3\n")


def test_words_are_those_of_the_package(package: str, tmp_path: Path) -> None:
    found = installed_prompts("json", where=tmp_path)
    harbor = package == "harbor"
    assert found.version == f"{package.replace('_', '-')} 1.2.3"
    assert found.first == "J {{x}} {instruction} {terminal_state}"
    assert (found.fresh, found.screen) == ("New {output}", "Screen {output}")
    assert found.cut == "{head}[{max_bytes} {omitted_bytes}]{tail}"
    assert found.unreadable == "Bad: {feedback} send JSON"
    assert found.warned == "Hm: {feedback} {terminal_state}"
    assert found.error_line + found.warnings_below == "E: {error} W: {warnings}"
    assert found.warnings_alone == "only W: {warnings}"
    assert found.confirm.format(terminal_state="$") == 'Now:\n$\nSure? {"yes"}'
    assert found.truncated == ("Over the limit!" if harbor else "Too long")
    assert found.truncated_warnings == "Also {warnings}"
    assert found.summary == "Sum up {instruction}"
    assert found.questions == "Ask: {instruction} {summary} {screen}"
    assert found.answers == "Answer: {questions}"
    assert found.hand_over == "Here: {answers}. Go on."
    assert found.with_pending == ("{hand_over}" if harbor else "{hand_over}\n\n{prompt}")
    own = own_prompts("json")
    assert found.short == ("Short {instruction} {screen}" if harbor else own.short)
    assert found.short_over == ("{instruction} then {summary}" if harbor else own.short_over)
    assert found.last_resort == ("{instruction} at {screen}" if harbor else own.last_resort)
    xml = installed_prompts("xml", where=tmp_path)
    assert (xml.first, xml.unreadable) == ("X {instruction} {terminal_state}", "Bad: {feedback} send tags")
    assert xml.confirm == "Now:\n{terminal_state}\nSure? <yes>"


async def test_an_episode_is_told_in_them(package: str, tmp_path: Path) -> None:
    found = installed_prompts("json", where=tmp_path)
    odd = DONE.replace('"a"', '"odd"').replace("true", "false")
    played = await play2("hm", odd, DONE, prompts=found)
    assert played.prompt(0).startswith("J {x} Count to {three}. Screen $")
    assert played.prompt(1) == "Bad: E: no good send JSON"
    assert played.prompt(2).startswith("Hm: only W: - one\n- two New $")
    assert played.prompt(3).endswith('Sure? {"yes"}')


def test_a_parser_that_fails_or_errs_does_not_decide(package: str, tmp_path: Path) -> None:
    read = installed_prompts("json", where=tmp_path).grammar.read
    own = own_prompts("json").grammar.read
    for reply in ("boom", "{}", '{"plan": 1} odd'):
        assert read(reply) == own(reply)
    assert read("hm").error == "no good"


async def test_words_of_terminus_1(tmp_path: Path) -> None:
    make_package("terminal_bench", tmp_path)
    found = installed_prompts1(where=tmp_path)
    assert '"description": "keys"' in found.schema
    assert found.version == "terminal-bench 1.2.3"
    played = await play1(types1(done=True), prompts=found)
    assert played.prompt(0) == f"T1 {found.schema} Count to {{three}}.  " + "$\n" + "\n" * 39


def test_a_package_may_be_named(tmp_path: Path) -> None:
    for name in NAMES:
        make_package(name, tmp_path)
    assert installed_prompts("json", where=tmp_path).version == "terminal-bench 1.2.3"
    assert installed_prompts("json", "harbor", where=tmp_path).version == "harbor 1.2.3"
    with pytest.raises(UsageError, match="no such agent"):
        installed_prompts1("harbor", where=tmp_path)
    with pytest.raises(UsageError, match="did you mean 'harbor'"):
        installed_prompts("json", "habor", where=tmp_path)


def test_what_is_not_installed_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match="pip install terminal-bench` or `pip install harbor"):
        installed_prompts("json", where=tmp_path)
    with pytest.raises(EnvironmentUnusableError, match="pip install harbor"):
        installed_prompts("json", "harbor", where=tmp_path)
    if importlib.util.find_spec("terminal_bench") is None:
        with pytest.raises(EnvironmentUnusableError, match="own"):
            installed_prompts1()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("agents/terminus_2/terminus_2.py", "_summarize", "_sum"),
        ("agents/terminus_2/terminus_2.py", "Sum up {original_instruction}", "Sum up"),
        ("agents/terminus_2/terminus_2.py", "class Agent:", "class Agent"),
        ("agents/terminus_2/terminus_json_plain_parser.py", "PlainParser", "Parser"),
        ("agents/terminus_2/terminus_json_plain_parser.py", "from dataclasses", "from no_dataclasses"),
        ("agents/prompt-templates/terminus-json-plain.txt", "", ""),
    ],
)
def test_a_package_of_another_shape_is_an_error(tmp_path: Path, file: str, old: str, new: str) -> None:
    make_package("terminal_bench", tmp_path)
    path = tmp_path / "terminal_bench" / file
    if old:
        path.write_text(path.read_text().replace(old, new))
    else:
        path.unlink()
    with pytest.raises(EnvironmentUnusableError, match=path.name):
        installed_prompts("json", where=tmp_path)


def test_a_terminus_1_of_another_shape_is_an_error(tmp_path: Path) -> None:
    make_package("terminal_bench", tmp_path)
    path = tmp_path / "terminal_bench/agents/terminus_1.py"
    path.write_text(TERMINUS_1.replace("CommandBatchResponse", "Batch"))
    with pytest.raises(EnvironmentUnusableError, match=r"terminus_1\.py"):
        installed_prompts1(where=tmp_path)
