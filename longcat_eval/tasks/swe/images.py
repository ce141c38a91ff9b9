"""The image of an instance: the official one if it is here, else one that `images build` made."""

from collections.abc import Mapping
from typing import Any

import msgspec

from longcat_eval.protocols import Sandbox, SandboxError, Sandboxes
from longcat_eval.records import Sample
from longcat_eval.tasks.swe.recipes import how_to_get
from longcat_eval.tasks.swe.repository import BUILD_RECORD

BUILT_REPOSITORY = "longcat-eval/swe"
BUILT_FORMAT = 1


class BuildRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `images build` leaves in an image, and as its labels.

    `commit` stands for the instance's base commit, because the repository was made from a release; an
    official image has no such record.
    """

    instance: str = ""
    base_commit: str = ""
    commit: str = ""
    source: str = ""
    packages: list[str] = []
    format: int = BUILT_FORMAT


def built_image(instance: str) -> str:
    """The name of an image made here, which never passes for the official one."""
    return f"{BUILT_REPOSITORY}.{instance.lower().replace('__', '_1776_')}:{BUILT_FORMAT}"


def no_image(instance: str, official: str) -> str:
    """Say that an instance has no image here, and how to get one."""
    return f"no image for {instance} on this machine: {how_to_get(instance, official)}"


async def start_from(
    sandboxes: Sandboxes,
    sample: Sample,
    *,
    network: bool = False,
    kind: str,
    env: Mapping[str, str] | None = None,
    **limits: Any,
) -> tuple[Sandbox, str]:
    """Start a sandbox from the image of an instance; return it and the image's name.

    Raises `SandboxError`, for a missing image with the commands that bring it.
    """
    official = sample.fields["image"]
    for name in (official, built_image(sample.id)):
        try:
            started = sandboxes.start(name, network=network, kind=kind, name=sample.id, env=env, **limits)
            return await started, name
        except SandboxError as error:
            if error.reason != "image_missing":
                raise
    raise SandboxError("image_missing", no_image(sample.id, official))


async def read_build_record(sandbox: Sandbox, sample: Sample) -> BuildRecord:
    """What the image says of itself; an empty record for an official one."""
    try:
        content = await sandbox.get(BUILD_RECORD, max_bytes=1 << 20)
    except FileNotFoundError:
        return BuildRecord()
    try:
        record = msgspec.json.decode(content, type=BuildRecord)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SandboxError("image_unusable", f"{BUILD_RECORD} of {sample.id}: {error}") from None
    if record.instance != sample.id or record.base_commit != sample.fields["base_commit"]:
        raise SandboxError(
            "image_unusable", f"the image of {sample.id} was built for {record.instance}; build it again"
        )
    return record
