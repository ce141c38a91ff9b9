"""What goes on when a history gets too long: it is handed over to a model that knows nothing of it.

The three calls are those of both originals (`_summarize`), the two shorter ways those of harbor 0.24.0. These
two go on from the first message alone, where harbor keeps what it could not shorten enough.
"""

from longcat_eval.records import Completion
from longcat_eval.runners.agent.terminus.conversation import Conversation, assistant, user
from longcat_eval.runners.agent.terminus.prompts import Prompts

SHORT_SCREEN = 1_000
"""Characters at the end of the screen that a short hand-off shows."""


class NothingSaidError(Exception):
    """A hand-off to which the model gave no words."""


async def hand_off(talk: Conversation, prompts: Prompts, instruction: str, screen: str) -> str:
    """Replace the history by notes on it and questions, and return the prompt that holds the answers.

    One model writes notes with the whole history before it, one that sees only these asks, and the first
    answers. Raises `ModelError` and `NothingSaidError`; the history is then as it was.
    """
    ask_notes = prompts.summary.format(instruction=instruction)
    notes = _words(await talk.ask(ask_notes))
    take_over = prompts.questions.format(instruction=instruction, summary=notes, screen=screen)
    questions = _words(await talk.ask(take_over, fresh=True))
    ask_answers = prompts.answers.format(questions=questions)
    answers = _words(await talk.ask(ask_answers, user(ask_notes), assistant(notes)))
    talk.restart(user(take_over), assistant(questions))
    return prompts.hand_over.format(answers=answers)


async def short_hand_off(talk: Conversation, prompts: Prompts, instruction: str, screen: str) -> str:
    """Ask for the next steps without the history, forget it, and return the prompt to go on with.

    Raises as `hand_off` does.
    """
    ask = prompts.short.format(instruction=instruction, screen=screen[-SHORT_SCREEN:])
    steps = _words(await talk.ask(ask, fresh=True))
    talk.restart()
    return prompts.short_over.format(instruction=instruction, summary=steps)


async def forget(talk: Conversation, prompts: Prompts, instruction: str, screen: str) -> str:
    """Forget the history, and return the prompt to go on with; no model is asked."""
    talk.restart()
    return prompts.last_resort.format(instruction=instruction, screen=screen[-SHORT_SCREEN:])


def _words(reply: Completion) -> str:
    if not reply.text.strip():
        raise NothingSaidError
    return reply.text
