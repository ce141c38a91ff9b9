"""Other roles than the agent: their own models, endpoints and keys, nothing of the agent's."""

from pathlib import Path

import pytest
from toy import NoWorkers, ToyModel, ToyTask, endpoint_error, planned

from longcat_eval.cli.roles import resolve_roles
from longcat_eval.cli.settings import Resolved, RunSettings
from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, Outcome
from longcat_eval.runners.context import Context


def settings(**values: object) -> Resolved:
    return Resolved(RunSettings(model="longcat-flash-lite", base_url="http://agent:1/v1", **values), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["user", "judge"])
def test_a_missing_role_is_exit_5_with_the_flag(role: str) -> None:
    with pytest.raises(EnvironmentUnusableError, match=rf"give --{role}-model \(its authors use gpt-9\)"):
        resolve_roles(settings(), {"agent": "", role: "gpt-9"})


def test_the_agents_settings_do_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_KEY", "sk-of-the-user")
    roles = resolve_roles(
        settings(
            sampling={"top_k": 9},
            header=["X-Agent: 1"],
            user_model="someone",
            user_base_url="http://user:2/v1",
            user_api_key_env="USER_KEY",
        ),
        {"agent": "", "user": ""},
    )
    agent, user = roles["agent"], roles["user"]
    assert (agent.sampling["top_k"], agent.endpoint, agent.api_key) == (9, "http://agent:1/v1", None)
    assert (dict(user.sampling), dict(user.headers), user.endpoint) == ({}, {}, "http://user:2/v1")
    assert user.api_key is not None
    assert user.api_key.reveal() == "sk-of-the-user"
    assert "sk-of" not in repr(roles)


async def test_a_failing_user_is_a_simulator_error_and_every_call_is_recorded(tmp_path: Path) -> None:
    key = AttemptKey("toy", "s001")
    agent = ToyModel(lambda request: "hello")
    user = ToyModel(lambda request: endpoint_error())
    roles = {"agent": Role(agent, "a", {"top_k": 4}), "user": Role(user, "u")}
    context = Context(
        key, roles, planned(ToyTask()).task.protocol, 7, NoWorkers(), lambda role, request: None
    )
    history = [{"role": "user", "content": "one"}]
    first = await context.ask(history, turn=0)
    history += [first.message.wire(), {"role": "user", "content": "two"}]
    await context.ask(history, turn=1)
    with pytest.raises(ModelError) as caught:
        await context.ask([{"role": "user", "content": "three"}], role="user", turn=2)
    assert caught.value.outcome is Outcome.SIMULATOR_ERROR
    calls = context.transcript().calls
    assert [(c.turn, c.shared, len(c.request["messages"])) for c in calls] == [(0, 0, 1), (1, 1, 2)]
    assert calls[1].request["messages"] == history[1:]
    assert len({r.body["seed"] for r in agent.requests}) == 2
    assert "top_k" not in user.requests[0].body
