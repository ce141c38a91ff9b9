"""Tools for models whose server cannot parse calls: declared in the prompt, read from the reply."""

from typing import Any

import msgspec

from longcat_eval.model_backend.text_scores import scorer
from longcat_eval.model_backend.tool_grammars import NO_PARSER, grammar_named, parse_reply
from longcat_eval.model_backend.tool_prompt import with_tools_in_prompt
from longcat_eval.model_backend.tool_text import ToolSyntaxError
from longcat_eval.protocols import Model, ModelError
from longcat_eval.records import Completion, Outcome, Request, Wire

TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")
SERVER = "server"


class ToolReplyError(ModelError):
    """A reply whose tool call cannot be read (tool_protocol_error); `completion` is the reply as it came."""

    def __init__(self, problem: ToolSyntaxError, completion: Completion) -> None:
        super().__init__(Outcome.TOOL_PROTOCOL_ERROR, "tool_syntax", str(problem), tries=completion.tries)
        self.completion = completion


class ToolPromptModel:
    """Puts the tools of a request into its prompt and reads the calls from the reply's text.

    `Message.raw` stays the message as received, so later turns show the model its own words. A reply cut at
    the token limit is left unparsed: `length` says all there is to say.
    """

    def __init__(self, model: Model, grammar: str, *, lenient: bool = False) -> None:
        grammar_named(grammar)
        self.model, self.name, self.capabilities = model, model.name, model.capabilities | {"tools"}
        self.grammar, self.lenient = grammar, lenient

    def rewrite(self, request: Request) -> Request:
        """Return the request that is really sent: without tool fields, with tools and calls as text."""
        body = rewrite_body(request.body, self.grammar)
        return request if body is request.body else msgspec.structs.replace(request, body=body)

    async def complete(self, request: Request) -> Completion:
        """Answer one request; raises `ToolReplyError`, and what the inner model raises."""
        done = await self.model.complete(self.rewrite(request))
        tools = request.body.get("tools")
        if not tools or done.finish_reason == "length":
            return done
        if done.message.tool_calls:
            return msgspec.structs.replace(done, parse_mode=SERVER)
        try:
            reply = parse_reply(done.text, tools, self.grammar, lenient=self.lenient)
        except ToolSyntaxError as error:
            raise ToolReplyError(error, done) from None
        message = msgspec.structs.replace(
            done.message, content=reply.content or None, tool_calls=reply.tool_calls
        )
        finish = "tool_calls" if reply.tool_calls else done.finish_reason
        return msgspec.structs.replace(
            done, message=message, finish_reason=finish, parse_mode=reply.parse_mode
        )

    async def loglikelihood(self, request: Request, start: int) -> Completion:
        """Score a text; tools have no part in it."""
        return await scorer(self.model).loglikelihood(request, start)

    async def close(self) -> None:
        """Close the inner model."""
        await self.model.close()


def with_tool_parser(model: Model, tool_parser: str, *, lenient: bool = False) -> Model:
    """Return the model, wrapped unless the parser is `none`; raises `UsageError` for an unknown one."""
    return model if tool_parser == NO_PARSER else ToolPromptModel(model, tool_parser, lenient=lenient)


def rewrite_body(body: Wire, grammar: str) -> Wire:
    """Return a body without tool fields; the same object if it has nothing to do with tools."""
    messages = body.get("messages", ())
    history = any(m.get("role") == "tool" or m.get("tool_calls") for m in messages)
    if not history and not any(field in body for field in TOOL_FIELDS):
        return body
    choice = body.get("tool_choice")
    tools = [] if choice == "none" else body.get("tools") or []
    rewritten = {key: value for key, value in body.items() if key not in TOOL_FIELDS}
    rewritten["messages"] = with_tools_in_prompt(messages, tools, grammar, demand=demand_of(choice))
    return rewritten


def demand_of(choice: Any) -> str:
    """Return `tool_choice` as a sentence, empty for `auto` and `none`."""
    if choice == "required":
        return "Your reply must call a tool."
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    return f"Your reply must call {named}." if named else ""
