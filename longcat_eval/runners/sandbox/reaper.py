"""Removes what dead runs left behind, and nothing of those that live."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from longcat_eval.runners.sandbox.life import remove_container
from longcat_eval.runners.sandbox.networks import Belonging, find_belongings, remove_belonging
from longcat_eval.runners.sandbox.owner import DEADLINE, KIND, NAME, OWNER, RUN, abandoned

if TYPE_CHECKING:
    from docker.api import APIClient


class Found(NamedTuple):
    """A container of ours; `why` says why it may be removed and is empty while its owner lives."""

    id: str
    run: str
    kind: str
    name: str
    image: str
    state: str
    created: float
    deadline: float
    why: str
    bytes: int | None


def find_sandboxes(api: "APIClient", *, size: bool = False) -> list[Found]:
    """Every container that some longcat-eval started, on this daemon; with `size`, what each has written."""
    now = time.time()
    listed = api.containers(all=True, size=size, filters={"label": [OWNER]})
    return [_found(entry, now) for entry in listed if entry["Labels"].get(OWNER)]


def _found(entry: Mapping[str, Any], now: float) -> Found:
    labels = entry["Labels"]
    deadline = labels.get(DEADLINE, "")
    return Found(
        id=entry["Id"],
        run=labels.get(RUN, ""),
        kind=labels.get(KIND, ""),
        name=labels.get(NAME, ""),
        image=entry["Image"],
        state=entry["State"],
        created=float(entry["Created"]),
        deadline=float(deadline) if deadline.isdecimal() else 0.0,
        why=abandoned(labels, now),
        bytes=entry.get("SizeRw"),
    )


def reap(api: "APIClient") -> list[Found]:
    """Remove every abandoned container, network, volume and temporary image; return the containers.

    One that the daemon cannot remove stays, and stands in nobody's way.
    """
    from docker.errors import APIError

    dead = []
    for found in find_sandboxes(api):
        if found.why:
            with contextlib.suppress(APIError):
                remove_container(api, found.id)
                dead.append(found)
    for belonging in abandoned_belongings(api):
        with contextlib.suppress(APIError):
            remove_belonging(api, belonging.what, belonging.name)
    remove_images(api, lambda labels: bool(abandoned(labels, time.time())))
    return dead


def abandoned_belongings(api: "APIClient") -> list[Belonging]:
    """The networks and volumes whose owner is dead or whose deadline passed."""
    now = time.time()
    return [one for one in find_belongings(api) if abandoned(one.labels, now)]


def remove_run(api: "APIClient", run: str) -> int:
    """Remove all that one run started; return how many containers."""
    listed = api.containers(all=True, filters={"label": [f"{RUN}={run}"]})
    for entry in listed:
        remove_container(api, entry["Id"])
    for belonging in find_belongings(api, f"{RUN}={run}"):
        remove_belonging(api, belonging.what, belonging.name)
    remove_images(api, lambda labels: labels.get(RUN) == run)
    return len(listed)


def remove_images(api: "APIClient", wanted: Callable[[Mapping[str, str]], bool]) -> None:
    """Remove temporary images (`Sandbox.snapshot` without a tag) that are `wanted`; one in use stays."""
    from docker.errors import APIError

    for image in api.images(filters={"label": [RUN]}):
        temporary = image.get("RepoTags") in (None, [], ["<none>:<none>"])
        if temporary and wanted(image["Labels"] or {}):
            try:
                api.remove_image(image["Id"])
            except APIError as error:
                if error.status_code not in (404, 409):
                    raise
