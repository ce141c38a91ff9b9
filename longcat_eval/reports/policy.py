"""What a gate demands of each benchmark: a YAML file of margins and tiers (default_policy.yaml says how)."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import UsageError, did_you_mean

DEFAULT_POLICY = Path(__file__).with_name("default_policy.yaml")
NUMBERS = {"alpha": (0.0, 0.5), "power": (0.5, 1.0), "coverage": (0.0, 100.0)}
"""Each with the open range it lies in; coverage may be 0 and 100 too."""
KEYS = (*NUMBERS, "default", "tasks")


class Tier(StrEnum):
    """What follows from a regression."""

    BLOCK = "block"
    WARN = "warn"
    IGNORE = "ignore"


class Rule(NamedTuple):
    """The margin of one benchmark in points, and its tier."""

    margin: float
    tier: Tier


class Policy(NamedTuple):
    """`alpha` and `power` are shares, `coverage` is in percent; `default` is for all not in `tasks`."""

    name: str
    alpha: float
    power: float
    coverage: float
    default: Rule
    tasks: Mapping[str, Rule]

    def rule(self, task: str) -> Rule:
        """The rule of a benchmark."""
        return self.tasks.get(task, self.default)


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy, without a path the one that comes with longcat-eval.

    What a policy leaves out is as in that one, but for its rules for single benchmarks. `UsageError` names
    the key that is wrong.
    """
    content = _read(DEFAULT_POLICY)
    if path is None:
        return parse_policy(content, "default")
    return parse_policy({**content, "tasks": {}, **_read(path)}, str(path))


def parse_policy(content: Mapping[str, Any], name: str) -> Policy:
    """Check a policy that has every top-level key but perhaps `tasks`."""
    _known(name, content, KEYS)
    numbers = {key: _number(f"{name}: {key}", content[key], *NUMBERS[key]) for key in NUMBERS}
    default = _rule(f"{name}: default", content["default"], Rule(0.0, Tier.BLOCK))
    tasks = content.get("tasks") or {}
    if not isinstance(tasks, Mapping):
        raise UsageError(f"{name}: tasks must hold `benchmark: {{margin: points, tier: block}}` lines")
    rules = {str(task): _rule(f"{name}: tasks.{task}", rule, default) for task, rule in tasks.items()}
    return Policy(name, numbers["alpha"], numbers["power"], numbers["coverage"], default, rules)


def _rule(where: str, content: Any, default: Rule) -> Rule:
    if not isinstance(content, Mapping):
        raise UsageError(f"{where} must be {{margin: points, tier: block}}, got {content!r}")
    _known(where, content, Rule._fields)
    tier = content.get("tier", default.tier)
    if tier not in list(Tier):
        raise UsageError(
            f"{where}: tier {tier!r} is not known{did_you_mean(str(tier), map(str, Tier))}; {', '.join(Tier)}"
        )
    margin = _number(f"{where}: margin", content.get("margin", default.margin), 0.0, 100.0)
    return Rule(margin, Tier(tier))


def _number(where: str, value: Any, low: float, high: float) -> float:
    outside = not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high
    if outside or (high < 100 and value in (low, high)):
        raise UsageError(f"{where} must be a number between {low:g} and {high:g}, got {value!r}")
    return float(value)


def _known(where: str, content: Mapping[str, Any], keys: Collection[str]) -> None:
    for key in content:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            raise UsageError(f"{where}: unknown key {key!r}{hint}; known: {', '.join(keys)}")


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the policy {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the policy {path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise UsageError(f"the policy {path} must hold `name: value` lines")
    return content
