"""The original agents on a script, in their own environment: what they sent to the model, as JSON.

usage: python terminus_play_peer.py (terminal_bench|harbor) (json|xml|terminus-1) < play.json
play.json: {"task": str, "replies": [[text, "stop"|"length"|"overflow", tokens of the history after it]],
            "limit": tokens of the context, "in_time": whether to hand over before an overflow,
"shell": folder of list_shell.py}
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Script:
    """Answers requests in turn and keeps their messages; raises what the peer's own client would."""

    def __init__(
        self, play: dict[str, Any], overflow: Callable[[], Exception], cut: Callable[[str], Exception]
    ):
        self.replies, self.overflow, self.cut = list(play["replies"]), overflow, cut
        self.requests: list[list[dict[str, str]]] = []
        self.tokens: dict[str, int] = {}

    def answer(self, prompt: str, history: list[dict[str, str]]) -> str:
        self.requests.append([dict(message) for message in [*history, {"role": "user", "content": prompt}]])
        text, reason, tokens = self.replies.pop(0)
        if reason == "overflow":
            raise self.overflow()
        self.tokens[text] = tokens
        if reason == "length":
            raise self.cut(text)
        return str(text)

    def count(self, messages: list[dict[str, str]]) -> int:
        """Tokens of a history: what the script says of its last reply."""
        said = [message["content"] for message in messages if message["role"] == "assistant"]
        return self.tokens.get(said[-1], 0) if said else 0


def play_terminal_bench(grammar: str, play: dict[str, Any], shell: Any) -> Script:
    from terminal_bench.agents.terminus_1 import Terminus
    from terminal_bench.agents.terminus_2.terminus_2 import Terminus2
    from terminal_bench.llms.base_llm import ContextLengthExceededError, OutputLengthExceededError
    from terminal_bench.terminal.tmux_session import TmuxSession

    class Session(TmuxSession):
        def __init__(self) -> None:
            self._previous_buffer = None

        def send_keys(self, keys: Any, **how: Any) -> None:
            shell.type(keys)

        def capture_pane(self, capture_entire: bool = False) -> str:
            return str(shell.history() if capture_entire else shell.screen())

        def is_session_alive(self) -> bool:
            return not shell.gone

        def get_asciinema_timestamp(self) -> float:
            return 0.0

    class Client:
        def call(self, prompt: str, message_history: Any = (), **how: Any) -> str:
            return script.answer(prompt, list(message_history))

        def count_tokens(self, messages: Any) -> int:
            return 0

    script = Script(play, ContextLengthExceededError, lambda text: OutputLengthExceededError("cut", text))
    agent: Any
    if grammar == "terminus-1":
        agent = Terminus(model_name="openai/scripted")
    else:
        agent = Terminus2(model_name="openai/scripted", parser_name=grammar)
        agent._get_model_context_limit = lambda: play["limit"]
        agent._count_total_tokens = lambda chat: script.count(chat._messages)
        if not play["in_time"]:
            agent._check_proactive_summarization = lambda *args: None
    agent._llm = Client()
    agent.perform_task(play["task"], Session())
    return script


def play_harbor(grammar: str, play: dict[str, Any], shell: Any) -> Script:
    from harbor.agents.terminus_2.terminus_2 import Terminus2
    from harbor.agents.terminus_2.tmux_session import TmuxSession
    from harbor.llms.base import ContextLengthExceededError, LLMResponse, OutputLengthExceededError
    from harbor.models.agent.context import AgentContext

    class Session(TmuxSession):
        def __init__(self) -> None:
            self._previous_buffer = None

        async def send_keys(self, keys: Any, **how: Any) -> None:
            shell.type(keys)

        async def capture_pane(self, capture_entire: bool = False) -> str:
            return str(shell.history() if capture_entire else shell.screen())

        async def is_session_alive(self) -> bool:
            return not shell.gone

    class Client:
        async def call(self, prompt: str, message_history: Any = (), **how: Any) -> LLMResponse:
            return LLMResponse(content=script.answer(prompt, list(message_history)))

        def get_model_context_limit(self) -> int:
            return int(play["limit"])

        def get_model_output_limit(self) -> None:
            return None

    script = Script(play, ContextLengthExceededError, lambda text: OutputLengthExceededError("cut", text))
    with tempfile.TemporaryDirectory() as folder:
        agent: Any = Terminus2(
            Path(folder),
            model_name="openai/scripted",
            parser_name=grammar,
            proactive_summarization_threshold=8000 if play["in_time"] else 0,
        )
        agent._llm, agent._session = Client(), Session()
        agent._count_total_tokens = lambda chat: script.count(chat.messages)
        asyncio.run(agent.run(play["task"], None, AgentContext()))
    return script


if __name__ == "__main__":
    package, grammar = sys.argv[1:]
    play = json.load(sys.stdin)
    sys.path.insert(0, play["shell"])
    from list_shell import ListShell

    ways = {"terminal_bench": play_terminal_bench, "harbor": play_harbor}
    print(json.dumps({"requests": ways[package](grammar, play, ListShell()).requests}))
