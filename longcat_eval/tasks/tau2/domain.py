"""A τ² domain: its tasks, prompts and tools, and a world of its own for every simulation.

Data and tools are those of the `tau2` package (MIT, Sierra Research; arXiv 2506.07982); what they stand on is
ours: one parse of the databases for all simulations, and entries copied when a simulation first takes them.
"""

import pickle
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.records import Wire
from longcat_eval.runners.dialogue import ToolResult
from longcat_eval.tasks.tau2.calculator import in_place_of
from longcat_eval.tasks.tau2.prompts import read_prompts
from longcat_eval.tasks.tau2.source import Tau2Source, import_tau2
from longcat_eval.tasks.tau2.tables import Shared, Table, canonical, dumped

DOMAINS = ("airline", "retail", "telecom", "mock")
REQUESTORS = {"agent": "assistant", "user": "user"}


class Database:
    """The parsed database of one side of a domain, and views of it.

    Fields that are tables (text -> object) are shared; the rest, small in every domain, is copied whole.
    """

    def __init__(self, whole: Any) -> None:
        self._model = type(whole)
        rows = dumped(whole)
        self._tables: dict[str, Shared[Any]] = {}
        for name, field in self._model.model_fields.items():
            validate = _row_validator(field.annotation)
            if validate is not None:
                self._tables[name] = Shared(rows[name], validate)
        rest = {name: getattr(whole, name) for name in self._model.model_fields if name not in self._tables}
        self._rest = pickle.dumps(rest)
        self._texts = {name: _field_text(whole, name) for name in rest}

    def view(self) -> Any:
        """A database object for one simulation."""
        tables = {name: Table(shared) for name, shared in self._tables.items()}
        return self._model.model_construct(**tables, **pickle.loads(self._rest))

    def changes(self, view: Any) -> dict[str, str]:
        """What differs from the database as parsed: canonical text by `table.key`, or by field."""
        changed: dict[str, str] = {}
        for name, value in vars(view).items():
            if isinstance(value, Table):
                changed |= {f"{name}.{key}": text for key, text in value.changes().items()}
            else:
                text = _field_text(view, name)
                if text != self._texts.get(name):
                    changed[name] = text
        return changed


def _row_validator(annotation: Any) -> Callable[[Any], Any] | None:
    """How a row of a field annotated `dict[str, SomeModel]` is made; None for any other field."""
    from typing import get_args, get_origin

    from pydantic import BaseModel, TypeAdapter

    arguments = get_args(annotation)
    if get_origin(annotation) is not dict or arguments[0] is not str:
        return None
    row = arguments[1]
    if not (isinstance(row, type) and issubclass(row, BaseModel)):
        return None
    return TypeAdapter(row).validate_python


def _field_text(view: Any, name: str) -> str:
    return canonical(view.model_dump(include={name}, warnings=False)[name])


class Tau2World:
    """One simulation's environment; implements `dialogue.World`."""

    def __init__(self, environment: Any, databases: Sequence[Database | None]) -> None:
        from tau2.data_model.message import ToolCall

        self.environment = environment
        self._databases = databases
        self._make_call = ToolCall

    def call(self, role: str, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Run one tool of `role` ('agent' or 'user'); the text of the result is tau2's own."""
        call = self._make_call(id="", name=name, arguments=arguments, requestor=REQUESTORS[role])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic remarks on values of a wrong type, which tools let in
            message = self.environment.get_response(call)
        return ToolResult(message.content, message.error)

    def sync(self) -> None:
        """Let what one side changed reach the other."""
        self.environment.sync_tools()

    def changes(self) -> dict[str, str]:
        """What differs from the databases as parsed, of both sides: two worlds are equal where this is."""
        kits = (self.environment.tools, self.environment.user_tools)
        changed: dict[str, str] = {}
        for side, kit, database in zip(REQUESTORS, kits, self._databases, strict=True):
            if database is not None:
                changed |= {f"{side}.{name}": text for name, text in database.changes(kit.db).items()}
        return changed

    def holds(self, assertion: Any) -> bool:
        """Whether a predicate on the state holds; one about what is not there does not."""
        try:
            return bool(self.environment.run_env_assertion(assertion, raise_assertion_error=False))
        except Exception:  # noqa: BLE001 - predicates are code of the package and raise what they like
            return False

    def replay(self, actions: Sequence[Any]) -> None:
        """Run gold actions as tau2's evaluator does: without sync between them, errors ignored."""
        for action in actions:
            try:
                self.environment.make_tool_call(
                    tool_name=action.name, requestor=action.requestor, **action.arguments
                )
            except Exception:  # noqa: BLE001 - the target state of tau2 simply lacks a failing gold call
                continue


class Domain:
    """One domain as loaded: raw tasks in the file's order, texts, tool schemas, and worlds."""

    def __init__(self, source: Tau2Source, name: str) -> None:
        if name not in DOMAINS:
            raise EnvironmentUnusableError(f"tau2 has no domain {name!r} here: {', '.join(DOMAINS)}")
        import_tau2(source)
        from tau2.data_model.tasks import Task

        self.name, self.source = name, source
        self._folder = source.data / "domains" / name
        self._module = import_module(f"tau2.domains.{name}.environment")
        self._parse_task: Callable[[Any], Any] = Task.model_validate
        self._parsed: dict[str, Any] = {}
        self.tasks: list[Wire] = _read_json(self._folder / "tasks.json")
        splits = self._folder / "split_tasks.json"
        self.splits: dict[str, list[str]] = _read_json(splits) if splits.is_file() else {}
        self._make, self._databases = self._maker()
        pristine = self._make()
        self.policy: str = pristine.get_policy()
        self.agent_tools: list[Wire] = [tool.openai_schema for tool in pristine.get_tools()]
        self.user_tools: list[Wire] = (
            [tool.openai_schema for tool in pristine.get_user_tools()] if pristine.user_tools else []
        )
        guidelines = "simulation_guidelines_tools.md" if pristine.user_tools else "simulation_guidelines.md"
        self.guidelines = (source.data / "user_simulator" / guidelines).read_text(encoding="utf-8")
        self.prompts = read_prompts(source)
        self.agent_prompt = self.prompts.agent(self.policy)

    def task(self, raw: Wire) -> Any:
        """The package's own object of a task; made once."""
        known = self._parsed.get(raw["id"])
        if known is None:
            known = self._parsed[raw["id"]] = self._parse_task(raw)
        return known

    def user_prompt(self, raw: Wire) -> str:
        """The user simulator's system prompt for a task."""
        return self.prompts.user(self.guidelines, str(self.task(raw).user_scenario))

    def environment(self, raw: Wire) -> Tau2World:
        """A world in the task's initial state."""
        environment = self._make()
        initial = self.task(raw).initial_state
        environment.set_state(
            initialization_data=initial.initialization_data if initial else None,
            initialization_actions=initial.initialization_actions if initial else None,
            message_history=[],
        )
        return Tau2World(environment, self._databases)

    def split(self, name: str) -> list[Wire]:
        """The tasks of a split in the file's order; all of them where the domain has no splits."""
        if not self.splits:
            return self.tasks
        if name not in self.splits:
            raise EnvironmentUnusableError(f"{self.name} of {self.source.version} has no split {name!r}")
        wanted = set(self.splits[name])
        return [task for task in self.tasks if task["id"] in wanted]

    def _maker(self) -> tuple[Callable[[], Any], tuple[Database | None, Database | None]]:
        """How environments are made over one parse of the databases, with a `calculate` that cannot hang."""
        pristine = self._module.get_environment()
        environment, policy = type(pristine), pristine.get_policy()
        found = {"tools": pristine.tools, "user_tools": pristine.user_tools}
        sides = {name: (type(kit), Database(kit.db)) for name, kit in found.items() if kit is not None}
        del pristine, found  # the package's own copy of the databases, of tens of megabytes

        def make() -> Any:
            kits = {name: kit(database.view()) for name, (kit, database) in sides.items()}
            for kit in kits.values():
                if hasattr(kit, "calculate"):
                    kit.calculate = in_place_of(kit.calculate)
            return environment(domain_name=self.name, policy=policy, **kits)

        agent, user = (sides[name][1] if name in sides else None for name in ("tools", "user_tools"))
        return make, (agent, user)


def _read_json(path: Path) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise EnvironmentUnusableError(f"there is no {path}: this is no complete tau2") from None
