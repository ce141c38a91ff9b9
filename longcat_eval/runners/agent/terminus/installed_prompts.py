"""Prompts of an installed terminal-bench or harbor, byte for byte, so that results can stand beside theirs.

Templates are files of the package; what is in its source is read out of it. Neither is kept here. What only
harbor says (the short ways of a hand-off) is in our words where it is terminal-bench's.
"""

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.runners.agent.terminus.installed_package import (
    INSTALLED,
    find_package,
    installed_grammar,
)
from longcat_eval.runners.agent.terminus.own_prompts import own_prompts
from longcat_eval.runners.agent.terminus.prompts import Prompts
from longcat_eval.runners.agent.terminus.prompts1 import Prompts1
from longcat_eval.runners.agent.terminus.source_texts import SourceTexts

AGENT = ("agents", "terminus_2")
TEMPLATES = {"terminal-bench": ("agents", "prompt-templates"), "harbor": (*AGENT, "templates")}
SESSION = {
    "terminal-bench": ("terminal", "tmux_session.py"),
    "harbor": (*AGENT, "tmux_session.py"),
}


def installed_prompts(grammar: str, source: str = INSTALLED, *, where: Path | None = None) -> Prompts:
    """Return the prompts of Terminus 2 in a grammar (json or xml) of the package that `source` names.

    `where` is a site-packages folder other than this interpreter's. Raises `UsageError` and
    `EnvironmentUnusableError`, which says what to install.
    """
    package = find_package(source, where=where)
    texts = SourceTexts(package.file(*AGENT, "terminus_2.py"))
    session = SourceTexts(package.file(*SESSION[package.name]))
    number = ("json", "xml").index(grammar)
    kind = texts.returned("_get_error_response_type", number)
    unreadable = texts.find("_run_agent_loop", "feedback", "kind").replace("{kind}", kind)
    words = replace(
        own_prompts(grammar),
        version=f"{package.name} {package.version}",
        grammar=installed_grammar(package, grammar, *AGENT, f"terminus_{grammar}_plain_parser.py"),
        first=package.text(*TEMPLATES[package.name], f"terminus-{grammar}-plain.txt"),
        fresh=session.find("get_incremental_output", "output", index=1),
        screen=session.find("get_incremental_output", "output"),
        cut=texts.returned("_limit_output_length", 0),
        unreadable=unreadable,
        warned=texts.find("_run_agent_loop", "feedback", "terminal_state"),
        error_line=texts.find("_handle_llm_interaction", "error"),
        warnings_below=texts.find("_handle_llm_interaction", "warnings"),
        warnings_alone=texts.find("_handle_llm_interaction", "warnings", index=1),
        confirm=texts.returned("_get_completion_confirmation_message", number),
        truncated_warnings=texts.find("_query_llm", "warnings", name="warnings_text"),
        summary=texts.find("_summarize", "instruction", name="summary_prompt"),
        questions=texts.find("_summarize", "instruction", "summary", "screen"),
        answers=texts.find("_summarize", "questions"),
        hand_over=texts.find("_summarize", "answers"),
        plain=True,
    )
    if package.name == "harbor":
        return _of_harbor(words, texts)
    return replace(words, truncated=texts.find("_query_llm", name="error_msg"))


def _of_harbor(words: Prompts, texts: SourceTexts) -> Prompts:
    limit = texts.find("_query_llm", name="limit_str")
    return replace(
        words,
        truncated=texts.find("_query_llm", "limit", name="error_msg").format(limit=limit),
        with_pending="{hand_over}",
        short=texts.find("_query_llm", "instruction", "screen", name="short_prompt"),
        short_over=texts.find("_query_llm", "instruction", "summary", name="summary_prompt"),
        last_resort=texts.find("_query_llm", "instruction", "screen", name="summary_prompt"),
    )


def installed_prompts1(source: str = INSTALLED, *, where: Path | None = None) -> Prompts1:
    """Return the prompts of Terminus 1, which terminal-bench alone has; raises as above."""
    package = find_package(source, names=("terminal-bench",), where=where)
    templates = TEMPLATES[package.name]
    return Prompts1(
        version=f"{package.name} {package.version}",
        first=package.text(*templates, "terminus.txt"),
        timed_out=package.text(*templates, "timeout.txt"),
        schema=_schema(SourceTexts(package.file("agents", "terminus_1.py"))),
        plain=True,
    )


def _schema(source: SourceTexts) -> str:
    """The schema of the package's own description of an answer: two classes of pydantic's, run alone."""
    from pydantic import BaseModel, ConfigDict, Field

    names: dict[str, Any] = {"BaseModel": BaseModel, "ConfigDict": ConfigDict, "Field": Field}
    names["__name__"] = "installed_terminus_1"
    try:
        body: list[ast.stmt] = [source.classes["Command"], source.classes["CommandBatchResponse"]]
        exec(compile(ast.Module(body, []), str(source.path), "exec"), names)
        return json.dumps(names["CommandBatchResponse"].model_json_schema(), indent=2)
    except (KeyError, NameError, AttributeError, TypeError) as error:
        raise EnvironmentUnusableError(
            f"{source.path} is not as this version of longcat-eval knows it ({error}); "
            "use --prompt-source own"
        ) from None
