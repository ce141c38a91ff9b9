"""The repository inside an agent's container: no future in it at the start, its changes taken at the end.

Images that still held the commits which fix an issue were exploited (SWE-bench#465, mini-swe-agent#787), and
patches printed through a terminal lost bytes: the difference goes through a file.
"""

from typing import NamedTuple

from longcat_eval.protocols import Sandbox, SandboxError

WORKDIR = "/testbed"
BUILD_RECORD = "/etc/longcat-eval/image.json"
PREPARE_SECONDS, PRUNE_SECONDS, DIFF_SECONDS = 120.0, 900.0, 300.0
LARGEST_PATCH = 64 << 20
_INDEX, _PATCH = "/tmp/.lceval-index", "/tmp/.lceval-patch"

_GIT = """
git() { command git -c safe.directory='*' -c core.fileMode=false -c core.autocrlf=false \\
  -c core.safecrlf=false -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"; }
"""
_INDEXED = f"""
rm -f {_INDEX} {_INDEX}.lock; cp "$(git rev-parse --git-path index)" {_INDEX}
export GIT_INDEX_FILE={_INDEX}
git add -A --ignore-errors >/dev/null 2>&1
"""
"""All of the work tree in an index of our own: the agent's, its locks and what it left out do not matter."""

PREPARE = (
    _GIT
    + """
git rev-parse HEAD >/dev/null 2>&1 || { echo no_repository; exit 0; }
git cat-file -e "$BASE^{commit}" 2>/dev/null || { echo no_base; exit 0; }
echo "ahead $(git rev-list --count "$BASE..HEAD")"
git for-each-ref --no-merged=HEAD --format='%(refname)' | while read -r ref; do
  echo "removed $ref"; git update-ref --no-deref -d "$ref"
done
git remote | while read -r remote; do
  echo "removed remote $remote"; git remote remove "$remote"
done
for name in ORIG_HEAD FETCH_HEAD MERGE_HEAD CHERRY_PICK_HEAD; do
  file=$(git rev-parse --git-path $name)
  [ -e "$file" ] && { echo "removed $name"; rm -f "$file"; }
done
if [ -n "$(git reflog show --all --format=%H 2>/dev/null | sort -u |
           git rev-list --stdin --ignore-missing --max-count=1 --not HEAD 2>/dev/null)" ]; then
  echo "removed reflog"
fi
"""
    + _INDEXED
    + """
echo "tree $(git write-tree)"
"""
)
"""$BASE is the commit the issue was about. Of refs, those go that HEAD does not contain; tags of the past
stay, because version numbers are made from them."""

PRUNE = _GIT + "git reflog expire --expire=now --all && git gc --quiet --prune=now"

DIFF = (
    _GIT
    + _INDEXED
    + f"""
git diff --cached --binary --no-color --no-ext-diff --no-textconv --no-renames \\
  --src-prefix=a/ --dst-prefix=b/ "$TREE" >{_PATCH}
"""
)


class Start(NamedTuple):
    """A repository as the agent gets it: `tree` names all its files, `removed` what was of the future.

    `ahead` counts the commits of the image's makers on top of the base commit, `pruned` says whether what
    was removed is out of the object store too.
    """

    tree: str
    removed: list[str]
    ahead: int
    pruned: bool


async def prepare(sandbox: Sandbox, base_commit: str) -> Start:
    """Take out of the repository what is newer than its base commit, and note its state.

    Raises `SandboxError` `image_unusable` where there is no repository with that commit.
    """
    env = {"BASE": base_commit}
    done = await sandbox.exec(PREPARE, timeout=PREPARE_SECONDS, user="root", cwd=WORKDIR, env=env)
    lines = [line.partition(" ") for line in done.output.decode("utf-8", "replace").splitlines()]
    said = {word: rest for word, _, rest in lines}
    if not said.get("tree"):
        why = "has no commit " + base_commit if "no_base" in said else "is no git repository"
        shown = done.output[-300:].decode("utf-8", "replace")
        raise SandboxError("image_unusable", f"{WORKDIR} {why}: {shown}")
    removed = [rest for word, _, rest in lines if word == "removed"]
    pruned = False
    if removed:
        swept = await sandbox.exec(PRUNE, timeout=PRUNE_SECONDS, user="root", cwd=WORKDIR)
        pruned = swept.exit_code == 0
    return Start(said["tree"], removed, int(said.get("ahead") or 0), pruned)


class TreeDiff(NamedTuple):
    """What an agent changed; `problem` says why there is nothing, where something went wrong."""

    patch: bytes
    problem: str = ""


async def work_tree_diff(sandbox: Sandbox, tree: str) -> TreeDiff:
    """The difference between the work tree and `tree`, whatever was staged or committed meanwhile.

    A repository that the agent broke has no difference. Raises `SandboxError`.
    """
    env = {"TREE": tree}
    done = await sandbox.exec(DIFF, timeout=DIFF_SECONDS, user="root", cwd=WORKDIR, env=env)
    if done.exit_code != 0:
        why = "took too long" if done.timed_out else done.output[-300:].decode("utf-8", "replace").strip()
        return TreeDiff(b"", f"git diff failed: {why}")
    try:
        return TreeDiff(await sandbox.get(_PATCH, max_bytes=LARGEST_PATCH))
    except OSError as error:
        return TreeDiff(b"", str(error))
