"""A repository in a real container: nothing of the future at the start, every change taken at the end."""

import pytest
import pytest_asyncio
import toy_repair
from toy_repair import Toy

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.tasks.swe.repository import prepare, work_tree_diff

pytestmark = pytest.mark.docker
LOOK = "cat calc.py bin latin 'd/with space' | sha256sum; ls"
AS = "git -c user.name=x -c user.email=x@y"


@pytest_asyncio.fixture
async def repository(sandboxes: DockerSandboxes, toy: Toy) -> DockerSandbox:
    """The toy's repository in a fresh container."""
    return await sandboxes.start(toy.image)


async def run(sandbox: DockerSandbox, command: str) -> str:
    done = await sandbox.exec(command, timeout=60, cwd="/testbed")
    assert done.exit_code == 0, done.output
    return done.output.decode().strip()


async def test_the_future_is_taken_out_and_the_past_stays(repository: DockerSandbox, toy: Toy) -> None:
    fix = (
        "git tag old && git checkout -qb fix && echo SECRET >fix.txt && git add -A && "
        f"{AS} commit -qm fix && git tag v9 && {AS} tag -am x v10 && git rev-parse HEAD && "
        "git checkout -q main && "
        "git update-ref refs/remotes/origin/main fix && git remote add origin https://example.org/x && "
        f"echo x >>calc.py && {AS} stash -q && git rev-parse fix >.git/FETCH_HEAD && git branch merged"
    )
    secret = (await run(repository, fix)).split()[0]
    start = await prepare(repository, toy.commit)
    assert sorted(start.removed) == [
        "FETCH_HEAD",
        "ORIG_HEAD",
        "reflog",
        "refs/heads/fix",
        "refs/remotes/origin/main",
        "refs/stash",
        "refs/tags/v10",
        "refs/tags/v9",
        "remote origin",
    ]
    assert (start.ahead, start.pruned) == (0, True)
    assert await run(repository, "git tag; git branch --format='%(refname)'; git remote") == (
        "old\nrefs/heads/main\nrefs/heads/merged"
    )
    assert await run(repository, f"git cat-file -e {secret} 2>/dev/null || echo gone") == "gone"
    assert await run(repository, "git log --all --oneline | wc -l; git reflog | wc -l") == "1\n0"


async def test_a_clean_repository_is_left_alone(repository: DockerSandbox, toy: Toy) -> None:
    """Images may hold a commit of their makers on top, and changes that belong to the environment."""
    await run(
        repository, f"echo y >>calc.py && {AS} commit -qam SWE-bench && echo z >>calc.py && echo n >new"
    )
    start = await prepare(repository, toy.commit)
    assert (start.removed, start.ahead, start.pruned) == ([], 1, False)
    assert await run(repository, "git status --short") == "M calc.py\n?? new"
    assert (await work_tree_diff(repository, start.tree)).patch == b""


@pytest.mark.parametrize("broken", ["rm -rf .git", "git update-ref -d HEAD"])
async def test_images_without_the_commit_are_unusable(
    repository: DockerSandbox, toy: Toy, broken: str
) -> None:
    with pytest.raises(SandboxError) as caught:
        await prepare(repository, "1" * 40)
    assert caught.value.reason == "image_unusable"
    assert "has no commit 1111" in str(caught.value)
    await run(repository, broken)
    with pytest.raises(SandboxError, match="is no git repository"):
        await prepare(repository, toy.commit)


async def test_every_change_is_in_the_difference(repository: DockerSandbox, toy: Toy) -> None:
    """Staged, committed, reset, binary, without a last newline, not UTF-8; whatever the agent set in git."""
    start = await prepare(repository, toy.commit)
    await run(
        repository,
        f"sed -i 's/sum(values)/0/' calc.py && {AS} commit -qam one && printf '\\x00\\xff\\xfe' >bin && "
        f"git add bin && git rm -qf test_calc.py && printf 'caf\\xe9 \\x80' >latin && mkdir d && "
        "printf 'a\\r\\nb\\r\\n' >'d/with space' && touch .git/index.lock && "
        "git config diff.external /bin/false && git config diff.noprefix true && "
        "git config color.ui always && git config core.autocrlf input && "
        "git config core.hooksPath /tmp && chmod 755 calc.py",
    )
    found = await work_tree_diff(repository, start.tree)
    assert found.problem == ""
    assert b"old mode" not in found.patch, "a mode alone is no change"
    assert b"caf\xe9 \x80\n\\ No newline at end of file" in found.patch
    assert b"+a\r\n+b\r\n" in found.patch
    other = await prepare_fresh(repository, found.patch, toy)
    assert other == await run(repository, LOOK)


async def prepare_fresh(repository: DockerSandbox, patch: bytes, toy: Toy) -> str:
    """What the patch makes of a fresh copy of the repository."""
    await repository.put("/tmp/p", patch)
    clone = f"git clone -q /testbed /tmp/fresh && cd /tmp/fresh && git checkout -q {toy.commit}"
    return await run(repository, f"{clone} && git apply --whitespace=nowarn /tmp/p && {LOOK}")


async def test_the_difference_holds_after_a_reset_to_the_start(repository: DockerSandbox, toy: Toy) -> None:
    start = await prepare(repository, toy.commit)
    await run(
        repository, f"echo x >>calc.py && {AS} commit -qam one && git reset -q --hard HEAD~ && git gc -q"
    )
    assert (await work_tree_diff(repository, start.tree)).patch == b""
    await repository.put("/testbed/calc.py", toy_repair.CALC.replace("sum(values)", "0").encode())
    assert b"+    return 0" in (await work_tree_diff(repository, start.tree)).patch


async def test_a_broken_repository_has_no_difference(repository: DockerSandbox, toy: Toy) -> None:
    start = await prepare(repository, toy.commit)
    await run(repository, "rm -rf .git && echo x >>calc.py")
    found = await work_tree_diff(repository, start.tree)
    assert found.patch == b""
    assert "git diff failed" in found.problem
