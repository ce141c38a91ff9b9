"""Networks and volumes of groups: they carry their owner's labels, and go with their group or its owner."""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox.owner import OWNER

if TYPE_CHECKING:
    from docker.api import APIClient

POOL_IS_EMPTY = ("non-overlapping IPv4 address pool", "predefined address pools")
HOST_UNREACHABLE = {"com.docker.network.bridge.inhibit_ipv4": "true"}
"""No address for the host on a network without a way out; an older daemon passes over it."""


class Belonging(NamedTuple):
    """A network or volume of a group, with the labels that say whose it is."""

    what: Literal["network", "volume"]
    name: str
    labels: Mapping[str, str]


def create_network(api: "APIClient", name: str, labels: Mapping[str, str], *, internal: bool) -> None:
    """Make a network of a group's own; without a way out where `internal`.

    Raises `SandboxError`: `network_exhausted` where the daemon has no addresses left for one more.
    """
    from docker.errors import APIError

    options = HOST_UNREACHABLE if internal else None
    try:
        api.create_network(name, driver="bridge", internal=internal, labels=dict(labels), options=options)
    except APIError as error:
        told = str(error.explanation or error)
        if not any(sign in told for sign in POOL_IS_EMPTY):
            raise
        raise SandboxError(
            "network_exhausted",
            "the Docker daemon has no addresses left for another network: remove old ones (`longcat-eval "
            "sandbox reap`, `docker network prune`), run fewer attempts at once, or give it smaller pools "
            '("default-address-pools" in daemon.json)',
        ) from None


def create_volume(api: "APIClient", name: str, labels: Mapping[str, str]) -> None:
    """Make an empty volume of a group's own."""
    api.create_volume(name, labels=dict(labels))


def find_belongings(api: "APIClient", label: str = OWNER) -> list[Belonging]:
    """Every network and volume that carries `label` (a name, or `name=value`)."""
    filters = {"label": [label]}
    networks = api.networks(filters=filters)
    volumes = api.volumes(filters=filters).get("Volumes") or []
    found = [Belonging("network", entry["Name"], entry["Labels"] or {}) for entry in networks]
    return found + [Belonging("volume", entry["Name"], entry["Labels"] or {}) for entry in volumes]


def remove_belonging(api: "APIClient", what: str, name: str) -> None:
    """Remove one; gone already is fine. A network first loses those that are still on it."""
    from docker.errors import APIError, NotFound

    if what == "volume":
        with contextlib.suppress(NotFound):
            api.remove_volume(name, force=True)
        return
    try:
        api.remove_network(name)
    except NotFound:
        return
    except APIError as error:
        if "active endpoints" not in str(error.explanation):
            raise
        for container in api.inspect_network(name)["Containers"] or {}:
            with contextlib.suppress(APIError):
                api.disconnect_container_from_network(container, name, force=True)
        with contextlib.suppress(NotFound):
            api.remove_network(name)
