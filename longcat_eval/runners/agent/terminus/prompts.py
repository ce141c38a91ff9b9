"""What a Terminus 2 is told, as templates for `str.format`."""

from dataclasses import dataclass, fields

from longcat_eval.runners.agent.terminus.answer import Answer
from longcat_eval.runners.agent.terminus.grammar import Grammar


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The words of one source, in one grammar; `version` names source and version in results.

    In braces is what each holds. An observation begins with `fresh` {output} or `screen` {output}, and is cut
    by `cut` {head} {max_bytes} {omitted_bytes} {tail}. `plain`: blank lines at its end are sent as they are,
    and what the original cuts twice is cut twice.
    """

    version: str
    grammar: Grammar
    first: str
    """{instruction} {terminal_state}"""
    fresh: str
    screen: str
    cut: str
    unreadable: str
    """{feedback}"""
    warned: str
    """{feedback} {terminal_state}"""
    error_line: str
    """{error}"""
    warnings_below: str
    """{warnings}"""
    warnings_alone: str
    """{warnings}"""
    confirm: str
    """{terminal_state}"""
    truncated: str
    truncated_warnings: str
    """{warnings}"""
    summary: str
    """{instruction}"""
    questions: str
    """{instruction} {summary} {screen}"""
    answers: str
    """{questions}"""
    hand_over: str
    """{answers}"""
    with_pending: str
    """{hand_over} {prompt}: after an overflow, what would have been said goes along."""
    short: str
    """{instruction} {screen}"""
    short_over: str
    """{instruction} {summary}"""
    last_resort: str
    """{instruction} {screen}"""
    plain: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text a model may see."""
        own = (getattr(self, field.name) for field in fields(self))
        return (*(text for text in own if isinstance(text, str)), *self.grammar.texts)

    def feedback(self, answer: Answer) -> str:
        """What is wrong with an answer, '' if nothing is."""
        warnings = "- " + "\n- ".join(answer.warnings) if answer.warnings else ""
        if not answer.error:
            return self.warnings_alone.format(warnings=warnings) if warnings else ""
        below = self.warnings_below.format(warnings=warnings) if warnings else ""
        return self.error_line.format(error=answer.error) + below
