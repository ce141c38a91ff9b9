"""The shortest runner: one question, one reply."""

from collections.abc import Sequence

from longcat_eval.protocols import AttemptContext, ModelError
from longcat_eval.records import Transcript, Wire


async def ask_once(prompt: str | Sequence[Wire], ctx: AttemptContext) -> Transcript:
    """Ask the agent once, with a user message or a list of wire messages, and return the transcript.

    A `ModelError` that is the model's own doing (context overflow, content filter) ends the attempt with its
    outcome and reason; an invalid one passes through.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    try:
        await ctx.ask(messages)
    except ModelError as error:
        if not error.outcome.valid:
            raise
        transcript = ctx.transcript()
        transcript.outcome, transcript.reason, transcript.error = error.outcome, error.reason, str(error)
        return transcript
    return ctx.transcript()
