"""Images pulled within a budget, from a registry on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fake_registry import FakeRegistry

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import image_store
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.image_store import ImageStore, Pulled, ledger_path, note_use, read_ledger
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes

pytestmark = pytest.mark.docker


@pytest.fixture
def api(docker_daemon: None) -> Iterator[Any]:
    with connect() as client:
        yield client.api


@pytest.fixture
def registry(api: Any) -> Iterator[FakeRegistry]:
    """A registry; what was pulled from it is removed again."""
    with FakeRegistry() as made:
        yield made
        for image in api.images():
            for tag in image["RepoTags"] or []:
                if tag.startswith(made.host):
                    api.remove_image(tag, force=True)


@pytest.fixture
def only_ours(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the images of the registry only: others build images on this daemon meanwhile."""

    def measure(api: Any) -> int:
        ours = [i for i in api.images() if any(t.startswith(registry.host) for t in i["RepoTags"] or [])]
        return sum(image["Size"] for image in ours)

    monkeypatch.setattr(image_store, "layer_bytes", measure)


def here(api: Any, *names: str) -> list[bool]:
    return [image_store.present(api, name) for name in names]


def test_a_pull_is_remembered_and_not_repeated(api: Any, registry: FakeRegistry) -> None:
    name, store = registry.add("swe/one"), ImageStore()
    assert store.ensure(api, name)
    asked = len(registry.requests)
    assert not store.ensure(api, name)
    assert len(registry.requests) == asked
    kept = read_ledger()[image_store.daemon_id(api)][name]
    assert kept.id == image_store.image_id(api, name)
    assert kept.used >= kept.pulled > 0


def test_a_rate_limit_is_waited_out(api: Any, registry: FakeRegistry) -> None:
    name, waits, said = registry.add("swe/limited"), [], []
    registry.refuse = 6  # the daemon itself asks twice a try
    store = ImageStore(first_wait=5, sleep=waits.append, say=said.append)
    store.ensure(api, name)
    assert waits
    assert waits == [5.0 * 2**n for n in range(len(waits))]
    assert "rate limit" in said[0]
    registry.refuse = 10**6
    other = registry.add("swe/other")
    with pytest.raises(SandboxError, match="rate limit lasts") as caught:
        ImageStore(first_wait=5, patience=30, sleep=waits.append).ensure(api, other)
    assert caught.value.reason == "image_missing"


def test_an_image_that_no_registry_has(api: Any, registry: FakeRegistry) -> None:
    waits: list[float] = []
    with pytest.raises(SandboxError, match="cannot be pulled") as caught:
        ImageStore(sleep=waits.append).ensure(api, f"{registry.host}/swe/none:latest")
    assert caught.value.reason == "image_missing"
    assert not waits
    assert not read_ledger()


def test_the_least_recently_used_goes_first(api: Any, registry: FakeRegistry, only_ours: None) -> None:
    one, two, three, four = (registry.add(f"swe/n{n}", 300_000) for n in range(4))
    store = ImageStore(budget=1_000_000)
    for name in (one, two, three):
        store.ensure(api, name)
    note_use(image_store.daemon_id(api), one)
    store.ensure(api, four)
    assert here(api, one, two, three, four) == [True, False, True, True]
    assert sorted(read_ledger()[image_store.daemon_id(api)]) == sorted([one, three, four])


def test_what_is_in_use_or_not_ours_stays(api: Any, registry: FakeRegistry, only_ours: None) -> None:
    foreign, busy, idle, new = (registry.add(f"swe/n{n}", 300_000) for n in range(4))
    assert not image_store.pull_once(api, foreign)
    store = ImageStore(budget=1_000_000)
    store.ensure(api, busy)
    container = api.create_container(busy)["Id"]
    try:
        store.ensure(api, idle)
        store.ensure(api, new)
        assert here(api, foreign, busy, idle, new) == [True, True, False, True]
        with pytest.raises(SandboxError) as caught:
            ImageStore(budget=100_000).make_room(api)
        assert caught.value.reason == "disk_full"
        assert here(api, foreign, busy, new) == [True, True, False]
    finally:
        api.remove_container(container)


def test_a_memory_that_cannot_be_read_evicts_nothing(api: Any, registry: FakeRegistry) -> None:
    name = registry.add("swe/one")
    ImageStore().ensure(api, name)
    ledger_path().write_text("{not json")
    with pytest.raises(SandboxError):
        ImageStore(budget=1).make_room(api)
    assert here(api, name) == [True]
    ledger_path().write_text(json.dumps({"daemon": {"gone:1": {"id": "x", "pulled": 1, "used": 1}}}))
    assert read_ledger() == {"daemon": {"gone:1": Pulled("x", 1, 1)}}


async def test_a_run_may_pull_what_it_misses(api: Any, registry: FakeRegistry, shell_image: str) -> None:
    name = f"{registry.host}/swe/none:latest"
    run = DockerSandboxes(agents=2, images=ImageStore())
    try:
        with pytest.raises(SandboxError, match="cannot be pulled"):
            await run.start(name)
        found = await run.image(registry.add("swe/there"))
        assert found.digest.startswith(f"{registry.host}/swe/there@sha256:")
        assert (await run.image(shell_image)).digest == ""
    finally:
        await run.close()
