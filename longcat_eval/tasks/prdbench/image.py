"""The image in which projects are developed and tested: a Python, declared packages, a user without rights.

It is built on this machine (`images build --task prdbench`): packages come from PyPI by hash, the container
that is built in has no network.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.container import DockerSandbox, split_tag
from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.tasks.prdbench.packages import PYTHON, Packages, declared, fetch_packages

REPOSITORY = "longcat-eval/prdbench"
BASE = f"python:{PYTHON}-slim-bookworm"
"""Named in `--base-image-map` for another base than this host's packages."""
HOST_PACKAGES = ("curl", "libstdc++6", "openssl", "patch")
"""Of the host, beside those of every base image: wheels need the second, plans of tasks call others."""
PROJECT, DEVELOPER = "/project", "developer"
BUILD_SECONDS = 1800.0
BASE_LABEL, PACKAGES_LABEL = "longcat-eval.base", "longcat-eval.packages"
HOW_TO_BUILD = "longcat-eval images build --task prdbench"

_FILES, _VENV = "/tmp/.lceval-build", "/opt/prdbench"
BUILD = f"""
set -e
found=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$found" != {PYTHON} ]; then echo "its Python is $found, not {PYTHON}"; exit 1; fi
python3 -m venv --without-pip {_VENV}
cd {_FILES}
export PIP_QUIET=1 PIP_NO_INDEX=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1
{_VENV}/bin/python "$(echo pip-*.whl)/pip" install ./*.whl
for source in ./*.tar.gz; do
  if [ -e "$source" ]; then {_VENV}/bin/python -m pip install --no-build-isolation "$source"; fi
done
cd /
rm -rf {_FILES}
echo '{DEVELOPER}:x:1000:1000::/home/{DEVELOPER}:/bin/bash' >>/etc/passwd
echo '{DEVELOPER}:x:1000:' >>/etc/group
mkdir -p /home/{DEVELOPER} {PROJECT}
chown 1000:1000 /home/{DEVELOPER} {PROJECT}
"""
SETTINGS = (
    f"ENV PATH={_VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    f"ENV HOME=/home/{DEVELOPER}",
    "ENV MPLBACKEND=Agg",
    "ENV PYTHONDONTWRITEBYTECODE=1",
    "ENV PIP_NO_INDEX=1",
    f"WORKDIR {PROJECT}",
    'CMD ["bash"]',
)


def image_name(packages: Packages | None = None) -> str:
    """The name of the image with these packages (default: all); it changes with what goes into it."""
    content = msgspec.json.encode([packages or declared(), BUILD, SETTINGS], order="sorted")
    return f"{REPOSITORY}:{hashlib.sha256(content).hexdigest()[:12]}"


async def build_image(sandboxes: DockerSandboxes, base: str, packages: Packages | None = None) -> str:
    """Build the image on `base` unless it is there, on that base; return its name.

    Raises `EnvironmentUnusableError` where packages cannot be had or the base does not serve, `SandboxError`.
    """
    packages = packages or declared()
    name = image_name(packages)
    if await asyncio.to_thread(_stands_on, name) == base:
        return name
    files = await asyncio.to_thread(fetch_packages, packages)
    sandbox = await sandboxes.start(base, name="build prdbench", seconds=2 * BUILD_SECONDS)
    try:
        await sandbox.put_tree(_FILES, {file.name: file for file in files})
        done = await sandbox.exec(BUILD, timeout=BUILD_SECONDS, user="root")
        if done.exit_code != 0:
            said = done.output[-500:].decode("utf-8", "replace").strip()
            raise EnvironmentUnusableError(f"PRDBench's image does not build on {base}: {said}")
        labels = {BASE_LABEL: base, PACKAGES_LABEL: str(len(files))}
        await asyncio.to_thread(_commit, sandbox, name, labels)
    finally:
        await sandbox.stop()
    return name


def find_base(base_map: Mapping[str, str]) -> str:
    """The image to build on: what the map has for `BASE`, one of that name or a stand-in that is here, else
    one of this host's packages, else the registry's.

    Raises `EnvironmentUnusableError`.
    """
    from longcat_eval.runners.sandbox.base_images import resolve_bases
    from longcat_eval.runners.sandbox.daemon import connect, translated
    from longcat_eval.runners.sandbox.host_image import PACKAGES, build_host_image

    def found(client: Any, *, pull: bool) -> str:
        bases = translated(resolve_bases, client.api, [BASE], base_map, pull=pull)
        return bases[BASE].name if BASE in bases else ""

    with connect() as client:
        if name := found(client, pull=False):
            return name
        if BASE in base_map:
            raise EnvironmentUnusableError(f"--base-image-map: there is no image {base_map[BASE]} here")
        try:
            return build_host_image([*PACKAGES, *HOST_PACKAGES])
        except EnvironmentUnusableError as not_here:
            try:
                return found(client, pull=True)
            except SandboxError as refused:
                raise EnvironmentUnusableError(f"{not_here}; {refused}") from None


def _stands_on(name: str) -> str:
    """What the image of that name was built on; empty where there is none."""
    from longcat_eval.runners.sandbox.base_images import inspect
    from longcat_eval.runners.sandbox.daemon import connect

    with connect() as client:
        about = inspect(client.api, name)
    labels = (about or {}).get("Config", {}).get("Labels") or {}
    return str(labels.get(BASE_LABEL, ""))


def _commit(sandbox: DockerSandbox, name: str, labels: Mapping[str, str]) -> None:
    from longcat_eval.runners.sandbox.daemon import connect
    from longcat_eval.runners.sandbox.image_store import daemon_id, note_built
    from longcat_eval.runners.sandbox.owner import ALL

    changes = [*SETTINGS, *(f'LABEL {label}=""' for label in ALL)]
    changes += [f'LABEL {label}="{value}"' for label, value in labels.items()]
    repository, tag = split_tag(name)
    with connect() as client:
        api: Any = client.api
        api.commit(sandbox.id, repository=repository, tag=tag, changes=changes)
        note_built(api, daemon_id(api), name)
