"""A VitaBench domain in one language: prompts, tool schemas, and a world of its own for every simulation.

Tools and databases are those of the checkout (MIT, Sierra Research and Meituan; arXiv 2509.26490).
"""

from importlib import import_module
from typing import Any

import msgspec

from longcat_eval.records import Wire
from longcat_eval.runners.dialogue import ToolResult
from longcat_eval.tasks.vita.importing import import_vita
from longcat_eval.tasks.vita.isolation import Simulation, begin, forget, inside
from longcat_eval.tasks.vita.prompts import read_prompts
from longcat_eval.tasks.vita.source import TOOLKITS, VitaSource

REQUESTORS = {"agent": "assistant", "user": "user"}
BOOKS = ("orders", "books", "reservations")


class VitaWorld:
    """One simulation's environment; implements `dialogue.World`. `close` it in the end."""

    def __init__(self, environment: Any, simulation: Simulation, base: Any) -> None:
        self._environment, self._simulation, self._base = environment, simulation, base

    def call(self, role: str, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Run one tool; the text of the result is the package's own. The user has none."""
        with inside(self._simulation):
            try:
                result = self._environment.make_tool_call(name, requestor=REQUESTORS[role], **arguments)
                return ToolResult(self._environment.to_json_str(result), False)
            except Exception as error:  # noqa: BLE001 - tools are code of the package and raise what they like
                return ToolResult(f"Error: {error}", True)

    def sync(self) -> None:
        """Nothing: there is one side with tools."""

    def orders(self) -> list[str]:
        """What stands in the order books, as the package prints it."""
        db = self._environment.tools.db
        with inside(self._simulation):
            books = [getattr(db, name, None) or {} for name in BOOKS]
            return [repr(order) for book in books for order in book.values()]

    def close(self) -> None:
        """Drop what the simulation registered in the package."""
        forget(self._simulation, self._base)


class Domain:
    """One domain as loaded: prompts, tool schemas, and worlds; `toolkits` are the domains it is made of."""

    def __init__(self, source: VitaSource, name: str, language: str) -> None:
        self.name, self.language, self.source = name, language, source
        self.toolkits = TOOLKITS[name]
        self.prompts = read_prompts(source, language)
        import_vita(source)
        self._environments = import_module("vita.environment.environment")
        self._weekday = import_module("vita.utils.utils").get_weekday
        self._base = import_module("vita.data_model.thread_safe_base").ThreadSafeBase
        tasks = import_module("vita.data_model.tasks")
        self._parse_scenario = tasks.UserScenario.model_validate
        self._cleared = (tasks.StoreBaseModel, tasks.ProductBaseModel)
        self.agent_tools = self._schemas()

    def world(self, raw: Wire) -> VitaWorld:
        """A world in the task's initial state."""
        return self._world(raw["environment"])

    def time(self, raw: Wire) -> str:
        """The task's time and the name of its day, as prompts say it."""
        time = str(raw["environment"]["time"])
        return f"{time} {self._weekday(time, self.language)}"

    def agent_prompt(self, raw: Wire) -> str:
        """The agent's system prompt for a task."""
        return self.prompts.agent.format(time=self.time(raw))

    def user_prompt(self, raw: Wire) -> str:
        """The user simulator's system prompt for a task."""
        persona = str(self._parse_scenario(raw["user_scenario"]).user_profile)
        return self.prompts.user.format(persona=persona, instructions=raw["instructions"])

    def _world(self, state: Wire) -> VitaWorld:
        simulation = begin(self.language)
        own = msgspec.json.decode(msgspec.json.encode(state))
        with inside(simulation):
            for (
                base
            ) in self._cleared:  # before any object is made: subclasses then share their base's registry
                base.clear_thread_data()
            environment = self._make(own)
        return VitaWorld(environment, simulation, self._base)

    def _make(self, state: Wire) -> Any:
        if len(self.toolkits) > 1:
            return self._environments.get_cross_environment(",".join(self.toolkits), state, self.language)
        module = import_module(f"vita.domains.{self.toolkits[0]}.environment")
        return module.get_environment(state, self.language)

    def _schemas(self) -> list[Wire]:
        simulation = begin(self.language)
        with inside(simulation):
            tools = [tool.openai_schema for tool in self._make({}).get_tools()]
        forget(simulation, self._base)
        return tools
