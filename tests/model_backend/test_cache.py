import sqlite3
from pathlib import Path

import pytest
from asking import ask, endpoint
from loopback import FakeEndpoint, completion

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.cache import CachedModel, cache_key, cache_stats, prune_cache
from longcat_eval.model_backend.prices import Price
from longcat_eval.protocols import Model, ModelError


def cached(server: FakeEndpoint, path: Path, *, identity: str = "host", namespace: str = "") -> CachedModel:
    model: Model = endpoint(server.base_url, max_tries=1, price=Price(1.0, 1.0))
    return CachedModel(model, path, identity=identity, namespace=namespace)


async def test_a_hit_is_the_reply_marked_free_and_at_once(tmp_path: Path) -> None:
    async with FakeEndpoint() as server:
        model = cached(server, tmp_path / "sub" / "cache.db")
        first = await model.complete(ask())
        again = await model.complete(ask())
        await model.close()
        reopened = cached(server, tmp_path / "sub" / "cache.db")
        later = await reopened.complete(ask())
        await reopened.close()
    assert len(server.requests) == 1
    assert not first.cached
    assert (first.cost or 0) > 0
    assert again == later
    assert (again.cached, again.cost, again.seconds, again.tries) == (True, 0.0, 0.0, 0)
    assert again.message == first.message
    assert again.usage == first.usage


async def test_what_makes_a_request_another_one(tmp_path: Path) -> None:
    same_body_next_repeat = ask(repeat=1)
    async with FakeEndpoint() as server:
        model = cached(server, tmp_path / "c.db")
        for request in (ask(), same_body_next_repeat, ask("other"), ask(seed=2), ask(temperature=0.7)):
            assert not (await model.complete(request)).cached
            assert (await model.complete(request)).cached
        assert (await model.complete(ask(sample="another", deadline=1e12))).cached
        await model.close()
        for kind in ({"identity": "elsewhere"}, {"namespace": "gate"}):
            model = cached(server, tmp_path / "c.db", **kind)
            assert not (await model.complete(ask())).cached
            await model.close()


async def test_errors_are_never_kept(tmp_path: Path) -> None:
    async with FakeEndpoint(faults=["500", "empty", "no_choices", "drop"]) as server:
        model = cached(server, tmp_path / "c.db")
        for _ in range(4):
            with pytest.raises(ModelError):
                await model.complete(ask())
        assert not (await model.complete(ask())).cached
        await model.close()
    assert cache_stats(tmp_path / "c.db")["entries"] == 1


async def test_a_reply_cut_at_the_limit_is_kept(tmp_path: Path) -> None:
    whole = completion("cut he")
    whole["choices"][0]["finish_reason"] = "length"
    async with FakeEndpoint(lambda _: whole) as server:
        model = cached(server, tmp_path / "c.db")
        await model.complete(ask())
        kept = await model.complete(ask())
        await model.close()
    assert (kept.cached, kept.finish_reason) == (True, "length")


def test_the_key_is_made_of_exact_bytes() -> None:
    one = ask(tools=[{"a": 1, "b": 2}])
    two = ask(tools=[{"b": 2, "a": 1}])
    assert one.body == two.body
    assert cache_key("h", one) != cache_key("h", two)
    assert cache_key("h", one) == cache_key("h", ask(tools=[{"a": 1, "b": 2}]))
    assert cache_key("ab", ask(), "c") != cache_key("a", ask(), "bc")


async def test_stats_and_pruning(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    async with FakeEndpoint() as server:
        model = cached(server, path)
        for i in range(3):
            await model.complete(ask(str(i)))
        await model.close()
    with sqlite3.connect(path) as db:
        db.execute("update replies set time = time - 864000 where rowid = 1")
    db.close()
    stats = cache_stats(path)
    assert stats["entries"] == 3
    assert stats["bytes"] > 0
    assert stats["oldest"] < stats["newest"]
    assert prune_cache(path, 5) == 1
    assert prune_cache(path, 5) == 0
    assert cache_stats(path)["entries"] == 2
    assert prune_cache(path, 0) == 2
    assert cache_stats(path) | {"bytes": 0} == {"entries": 0, "bytes": 0, "oldest": "", "newest": ""}


@pytest.mark.parametrize("function", [cache_stats, lambda path: prune_cache(path, 1)])
def test_a_missing_cache_is_said_and_not_made(function: object, tmp_path: Path) -> None:
    assert callable(function)
    with pytest.raises(EnvironmentUnusableError, match="no response cache"):
        function(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at\n" * 50)
    async with FakeEndpoint() as server:
        with pytest.raises(EnvironmentUnusableError, match=r"notes\.txt"):
            cached(server, path)
    assert path.read_text().startswith("not a database")


async def test_an_unreadable_entry_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    async with FakeEndpoint() as server:
        model = cached(server, path)
        await model.complete(ask())
        with sqlite3.connect(path) as db:
            db.execute("update replies set value = x'00'")
        db.close()
        assert not (await model.complete(ask())).cached
        assert (await model.complete(ask())).cached
        await model.close()


async def test_a_cache_that_cannot_be_written_loses_no_reply(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c.db"
    async with FakeEndpoint() as server:
        model = cached(server, path)
        with sqlite3.connect(path) as db:
            db.execute("drop table replies")
            db.execute("create view replies as select x'00' as key, x'00' as value")
        db.close()
        assert (await model.complete(ask("1"))).text
        assert (await model.complete(ask("2"))).text
        await model.close()
    assert caplog.text.count("takes no more replies") == 1


async def test_two_processes_worth_of_connections_share_a_file(tmp_path: Path) -> None:
    async with FakeEndpoint() as server:
        one, two = cached(server, tmp_path / "c.db"), cached(server, tmp_path / "c.db")
        await one.complete(ask())
        assert (await two.complete(ask())).cached
        await one.close()
        await two.close()


async def test_a_damaged_file_costs_what_it_held_and_no_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages that the opening does not look at."""
    path = tmp_path / "c.db"
    async with FakeEndpoint(lambda body: "".join(f"word {n} " for n in range(4_000))) as server:
        model = cached(server, path)
        for number in range(40):
            await model.complete(ask(str(number)))
        await model.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: 4 * 16_384] + b"\xff" * (len(whole) - 4 * 16_384))
        model = cached(server, path)
        answers = [(await model.complete(ask(str(number)))).text for number in range(40)]
        await model.close()
    assert all(text.startswith("word") for text in answers)
    assert "damaged" in caplog.text
