"""Make the image of an instance on this machine, from the host's Debian packages and a release on PyPI.

The container that is built in has no network: what it needs is fetched before, by hash. The repository has
two commits, the release and an empty one: the instance's script shows the newest commit, which would be the
whole release otherwise.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import Sandbox, Sandboxes
from longcat_eval.records import Sample
from longcat_eval.tasks.swe.images import BuildRecord, built_image
from longcat_eval.tasks.swe.recipes import Recipe, fetch_files, recipe_of
from longcat_eval.tasks.swe.repository import BUILD_RECORD, WORKDIR

ENVIRONMENT_REPOSITORY = "longcat-eval/swe-environment"
BUILD_SECONDS = 600.0
_FILES = "/tmp/.lceval-build"

ACTIVATE = """\
# Stands for conda in the one thing that the scripts of SWE-bench ask of it.
conda() {
  if [ "${1:-}" = activate ]; then
    export CONDA_DEFAULT_ENV="${2:-testbed}" VIRTUAL_ENV="/opt/miniconda3/envs/${2:-testbed}"
    case ":$PATH:" in
      *":$VIRTUAL_ENV/bin:"*) ;;
      *) export PATH="$VIRTUAL_ENV/bin:$PATH" ;;
    esac
  fi
}
"""
BASHRC = "source /opt/miniconda3/bin/activate\nconda activate testbed\n"
IGNORED = "*.egg-info/\n__pycache__/\n*.pyc\n.pytest_cache/\n"

BUILD = f"""
set -e
environment=/opt/miniconda3/envs/testbed
python3 -m venv --without-pip "$environment"
python="$environment/bin/python"
cd {_FILES}
export PIP_QUIET=1 PIP_NO_INDEX=1 PIP_ROOT_USER_ACTION=ignore
"$python" "$(echo pip-*.whl)/pip" install --no-deps --no-cache-dir ./*.whl
mkdir -p {WORKDIR}
tar -C {WORKDIR} --strip-components=1 -xzf ./*.tar.gz
cd {WORKDIR}
rm -rf {_FILES} ./*.egg-info ./*/*.egg-info
export GIT_AUTHOR_NAME=longcat-eval GIT_AUTHOR_EMAIL=longcat-eval@localhost GIT_AUTHOR_DATE="$DATE"
export GIT_COMMITTER_NAME=longcat-eval GIT_COMMITTER_EMAIL=longcat-eval@localhost GIT_COMMITTER_DATE="$DATE"
git init --quiet --initial-branch=main .
git config core.fileMode false
cat /etc/longcat-eval/ignored >.git/info/exclude; rm /etc/longcat-eval/ignored
git add --all
git commit --quiet --message="$RELEASE"
git commit --quiet --allow-empty --message="The release stands for the base commit"
"$python" -m pip install --no-build-isolation --no-deps -e .
git status --porcelain
git rev-parse HEAD
"""


def environment_name(recipe: Recipe, base: str) -> str:
    """The name of what a recipe makes of a base image; it changes with all that goes into it."""
    content = msgspec.json.encode([base, recipe, BUILD, ACTIVATE, BASHRC, IGNORED], order="sorted")
    return f"{ENVIRONMENT_REPOSITORY}:{recipe.name}-{hashlib.sha256(content).hexdigest()[:12]}"


async def build_image(sandboxes: Sandboxes, sample: Sample, base: str) -> str:
    """Build the image of an instance on `base` and return its name.

    Raises `EnvironmentUnusableError` where there is no recipe, the files cannot be had, or the host's Python
    is another one than the recipe's; and `SandboxError`.
    """
    recipe = recipe_of(sample.id)
    environment = environment_name(recipe, base)
    if not await asyncio.to_thread(_is_here, environment):
        await _build_environment(sandboxes, recipe, base, environment)
    sandbox = await sandboxes.start(environment, name=f"look into {environment}")
    try:
        commit = (await sandbox.exec("git rev-parse HEAD", timeout=30, cwd=WORKDIR)).output.decode().strip()
    finally:
        await sandbox.stop()
    record = BuildRecord(
        sample.id,
        sample.fields["base_commit"],
        commit,
        f"{recipe.release} from PyPI",
        [*recipe.packages],
    )
    return await asyncio.to_thread(_tag, environment, built_image(sample.id), record)


async def _build_environment(sandboxes: Sandboxes, recipe: Recipe, base: str, tag: str) -> None:
    files = await asyncio.to_thread(fetch_files, recipe)
    sandbox = await sandboxes.start(base, name=f"build {recipe.name}")
    try:
        await _check_python(sandbox, recipe)
        for path, text in {
            "/opt/miniconda3/bin/activate": ACTIVATE,
            "/root/.bashrc": BASHRC,
            "/etc/longcat-eval/ignored": IGNORED,
        }.items():
            await sandbox.put(path, text.encode())
        for file in files:
            await sandbox.put(f"{_FILES}/{file.name}", file.read_bytes())
        env = {"DATE": recipe.date, "RELEASE": f"{recipe.release} as released on PyPI"}
        done = await sandbox.exec(BUILD, timeout=BUILD_SECONDS, user="root", env=env)
        if done.exit_code != 0 or len(done.output.split()) != 1:
            said = done.output[-500:].decode("utf-8", "replace").strip()
            raise EnvironmentUnusableError(f"{recipe.name} does not build on {base}: {said}")
        await sandbox.snapshot(tag)
    finally:
        await sandbox.stop()


async def _check_python(sandbox: Sandbox, recipe: Recipe) -> None:
    ask = "python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'"
    done = await sandbox.exec(ask, timeout=30)
    found = done.output.decode("utf-8", "replace").strip()
    if found != recipe.python:
        raise EnvironmentUnusableError(
            f"{recipe.name} is known with Python {recipe.python} and this host's packages have {found}: "
            "build on a host that has it (Debian 12 has 3.11)"
        )


def _is_here(image: str) -> bool:
    from longcat_eval.runners.sandbox.daemon import connect
    from longcat_eval.runners.sandbox.image_store import present

    with connect() as client:
        return present(client.api, image)


def _tag(environment: str, name: str, record: BuildRecord) -> str:
    """The environment with the record of an instance in it, as a file and as labels."""
    from longcat_eval.runners.sandbox.archives import put_file
    from longcat_eval.runners.sandbox.container import split_tag
    from longcat_eval.runners.sandbox.daemon import connect
    from longcat_eval.runners.sandbox.image_store import present

    wanted = labels(record, environment)
    with connect() as client:
        api: Any = client.api
        if present(client.api, name):
            there = api.inspect_image(name)["Config"].get("Labels") or {}
            if wanted.items() <= there.items():
                return name
        container = client.api.create_container(environment, command=["true"])["Id"]
        try:
            content = msgspec.json.format(msgspec.json.encode(record), indent=2)
            put_file(client.api, container, BUILD_RECORD, content, 0o644)
            repository, tag = split_tag(name)
            changes = [f'LABEL {label}="{value}"' for label, value in wanted.items()]
            changes += [f"WORKDIR {WORKDIR}", 'CMD ["bash"]']
            client.api.commit(container, repository=repository, tag=tag, changes=changes)
        finally:
            client.api.remove_container(container, force=True)
    return name


def labels(record: BuildRecord, environment: str) -> Mapping[str, str]:
    """What `docker inspect` shows of an image built here."""
    return {
        "longcat-eval.instance": record.instance,
        "longcat-eval.base-commit": record.base_commit,
        "longcat-eval.commit": record.commit,
        "longcat-eval.rebased": "1",
        "longcat-eval.source": record.source,
        "longcat-eval.environment": environment,
    }
