"""Policies: what they hold, what they inherit, and what is refused."""

from pathlib import Path

import pytest

from longcat_eval.errors import UsageError
from longcat_eval.reports.policy import Rule, Tier, load_policy
from longcat_eval.reports.published import load_published
from longcat_eval.tasks.table import TASKS


def test_the_default_policy_has_a_rule_for_every_benchmark_of_the_card() -> None:
    policy = load_policy()
    card = [row.task for group in load_published().groups if group.card for row in group.rows]
    assert not set(card) - policy.tasks.keys()
    known = {row.task for group in load_published().groups for row in group.rows} | set(TASKS)
    assert not policy.tasks.keys() - known


def test_a_policy_inherits_numbers_but_no_rules(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "default: {margin: 2, tier: warn}\ntasks:\n  mmlu: {margin: 0.5}\n  aime24: {tier: block}\n"
    )
    policy = load_policy(path)
    assert (policy.alpha, policy.power, policy.coverage) == (0.05, 0.8, 99.0)
    assert policy.rule("mmlu") == Rule(0.5, Tier.WARN)
    assert policy.rule("aime24") == Rule(2.0, Tier.BLOCK)
    assert policy.rule("tau2-airline") == Rule(2.0, Tier.WARN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alhpa: 0.05", "unknown key 'alhpa' (did you mean 'alpha'?)"),
        ("alpha: 5", "alpha must be a number between 0 and 0.5, got 5"),
        ("alpha: 0", "alpha must be"),
        ("coverage: high", "coverage must be a number"),
        ("default: 3", "default must be {margin: points, tier: block}"),
        ("tasks: {mmlu: {margin: -1}}", "tasks.mmlu: margin must be"),
        ("tasks: {mmlu: {margin: true}}", "tasks.mmlu: margin must be"),
        ("tasks: {mmlu: {tier: blocks}}", "tier 'blocks' is not known (did you mean 'block'?)"),
        ("tasks: {mmlu: {margn: 1}}", "unknown key 'margn' (did you mean 'margin'?)"),
        ("tasks: [mmlu]", "tasks must hold"),
        ("- mmlu", "must hold `name: value` lines"),
        ("a: {", "is not YAML"),
    ],
)
def test_a_wrong_policy_names_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_policy(path)
    assert said in str(error.value)


def test_an_absent_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the policy"):
        load_policy(tmp_path / "none.yaml")
