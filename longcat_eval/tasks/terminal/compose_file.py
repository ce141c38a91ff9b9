"""The services of a compose file, key by key: understood, ignored on purpose, or named as a problem."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longcat_eval.runners.sandbox.service import Condition, Recipe, Service, Volume
from longcat_eval.tasks.terminal import compose_values as values
from longcat_eval.tasks.terminal.compose_variables import ComposeError, Variables

_TOP = ("services", "networks", "volumes", "version", "name")
_IGNORED = {
    *("container_name", "restart", "ports", "expose", "labels", "label_file", "annotations", "logging"),
    *("pull_policy", "stop_grace_period", "stop_signal", "init", "attach", "develop"),
    *("mem_reservation", "memswap_limit", "mem_swappiness", "cpu_shares"),
}
"""They mean nothing for containers that nobody outside talks to and that are killed at their end."""
_BUILD = {"context", "dockerfile", "args", "target", "platforms"}
_BUILD_IGNORED = {
    "labels",
    "pull",
    "no_cache",
    "cache_from",
    "cache_to",
    "tags",
    "provenance",
    "sbom",
    "shm_size",
}
_DEPLOY_IGNORED = {
    *("mode", "endpoint_mode", "labels", "placement", "restart_policy", "rollback_config", "update_config"),
}
_NETWORK_IGNORED = {"name", "labels", "attachable", "enable_ipv4", "enable_ipv6", "ipam"}
_ESCAPES = {
    *("ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME", "DAC_READ_SEARCH"),
    *("BPF", "PERFMON"),
}
"""Capabilities that reach beyond a container."""
_CONDITIONS: dict[str, Condition] = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}


class ComposeFile:
    """One compose file under reading; what it cannot have goes to `problems`."""

    def __init__(
        self, tree: Mapping[str, Any], folder: Path, variables: Variables, problems: list[str]
    ) -> None:
        self.folder, self.variables, self.problems = folder, variables, problems
        self.volumes = self._volumes(tree.get("volumes") or {})
        self.networks = self._networks(tree.get("networks") or {})
        unknown = (key for key in tree if key not in _TOP and not _extension(key) and tree[key])
        problems.extend(f"{key} is not supported" for key in unknown)
        self.keys: dict[str, Callable[[Any], Mapping[str, Any]]] = {
            "image": lambda v: {"image": values.scalar(v)},
            "build": self._build,
            "command": lambda v: {"command": values.argv(v)},
            "entrypoint": lambda v: {"entrypoint": values.argv(v)},
            "environment": lambda v: {"environment": values.assignments(v, self.variables)},
            "user": lambda v: {"user": values.scalar(v)},
            "working_dir": lambda v: {"workdir": values.scalar(v)},
            "hostname": lambda v: {"hostname": values.scalar(v)},
            "tmpfs": lambda v: {"tmpfs": values.tmpfs(v)},
            "volumes": self._mounts,
            "networks": self._joined,
            "network_mode": _network_mode,
            "extra_hosts": lambda v: {"extra_hosts": values.hosts(v)},
            "dns": lambda v: {"dns": values.texts(v)},
            "depends_on": lambda v: {"depends_on": _dependencies(v)},
            "healthcheck": lambda v: {"healthcheck": values.healthcheck(v)},
            "mem_limit": lambda v: {"memory_bytes": values.byte_size(v) or None},
            "cpus": lambda v: {"cpus": values.number(v) or None},
            "deploy": _deploy,
            "shm_size": lambda v: {"shm_bytes": values.byte_size(v)},
            "cap_add": _capabilities,
            "privileged": _privileged,
            "tty": lambda v: {"tty": values.flag(v)},
            "stdin_open": lambda v: {"stdin_open": values.flag(v)},
            "platform": lambda v: {"platform": values.scalar(v)},
        }

    def service(self, name: str, given: Any) -> Service | None:
        """One service, or None where it has neither image nor recipe."""
        if not isinstance(given, Mapping):
            self.problems.append(f"service {name}: it is no mapping")
            return None
        found: dict[str, Any] = {}
        for key, value in given.items():
            if (
                key in _IGNORED
                or _extension(key)
                or key == "env_file"
                or (value is None and key in self.keys)
            ):
                continue
            if key not in self.keys:
                self.problems.append(f"service {name}: {key} is not supported")
                continue
            with _Named(self.problems, f"service {name}: {key}"):
                read = dict(self.keys[key](value))
                if key == "volumes":
                    read["tmpfs"] = found.get("tmpfs", {}) | read["tmpfs"]
                elif key == "tmpfs":
                    read["tmpfs"] = read["tmpfs"] | found.get("tmpfs", {})
                elif key == "build" and found.get("platform"):
                    read.pop("platform", None)
                found |= read
        with _Named(self.problems, f"service {name}: env_file"):
            found["environment"] = self._env_files(given.get("env_file")) | found.get("environment", {})
        if not found.get("image") and not found.get("recipe"):
            self.problems.append(f"service {name}: it has neither image nor build")
            return None
        if found.get("recipe"):
            found.pop("image", None)
        if alias := self._alias(given):
            joined = found.get("networks") or {"default": ()}
            found["networks"] = {network: (*aliases, alias) for network, aliases in joined.items()}
        idle = not found.get("entrypoint") and values.keeps_alive(found.get("command"))
        return Service(name=name, idle=idle, **found)

    def _alias(self, given: Mapping[str, Any]) -> str:
        """A fixed container name, by which others may call; not a host name where it came from a variable."""
        name = given.get("container_name")
        return str(name) if name and name not in self.variables.values.values() else ""

    def _build(self, value: Any) -> dict[str, Any]:
        given = value if isinstance(value, Mapping) else {"context": values.scalar(value)}
        if left := sorted(str(key) for key in set(given) - _BUILD - _BUILD_IGNORED if not _extension(key)):
            raise ComposeError(f"{', '.join(left)} is not supported")
        where = values.scalar(given.get("context") or ".")
        if "://" in where or where.startswith("git@"):
            raise ComposeError(f"the context {where} is not of the task's folder")
        context = values.inside(self.folder, where)
        dockerfile = values.inside(context, values.scalar(given.get("dockerfile") or "Dockerfile"))
        recipe = Recipe(
            context=context,
            dockerfile=dockerfile.relative_to(context).as_posix(),
            args=values.assignments(given.get("args"), self.variables),
            target=values.scalar(given.get("target") or ""),
        )
        platforms = values.texts(given.get("platforms"))
        if len(platforms) > 1:
            raise ComposeError("platforms: images of several platforms are not supported")
        return {"recipe": recipe, **({"platform": platforms[0]} if platforms else {})}

    def _mounts(self, value: Any) -> dict[str, Any]:
        mounts: list[Volume] = []
        tmpfs: dict[str, str] = {}
        if not isinstance(value, list):
            raise ComposeError("it is no list")
        for entry in value:
            read = values.volume(entry, self.folder)
            if not isinstance(read, Volume):
                tmpfs |= read
                continue
            if read.name and read.name not in self.volumes:
                raise ComposeError(f"the volume {read.name} is not declared")
            mounts.append(read)
        return {"volumes": tuple(mounts), "tmpfs": tmpfs}

    def _joined(self, value: Any) -> dict[str, Any]:
        joined: dict[str, tuple[str, ...]] = {}
        for name, given in (
            value.items() if isinstance(value, Mapping) else ((n, None) for n in values.texts(value))
        ):
            known = {"aliases", "priority", "gw_priority"}
            if left := sorted(set(given or {}) - known):
                raise ComposeError(f"{name}.{', '.join(left)} is not supported")
            if name != "default" and name not in self.networks:
                raise ComposeError(f"the network {name} is not declared")
            joined[name] = values.texts((given or {}).get("aliases"))
        internal = tuple(name for name in joined if self.networks.get(name))
        return {"networks": joined, "internal": internal}

    def _env_files(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in value if isinstance(value, list) else [value] if value else []:
            given = entry if isinstance(entry, Mapping) else {"path": entry}
            if left := sorted(set(given) - {"path", "required"}):
                raise ComposeError(f"{', '.join(left)} is not supported")
            path = values.inside(self.folder, values.scalar(given.get("path")))
            if not path.is_file() and not values.flag(given.get("required", True)):
                continue
            try:
                found |= values.env_file(path.read_text(encoding="utf-8"), self.variables)
            except (OSError, UnicodeDecodeError) as error:
                raise ComposeError(f"{path.name}: {error}") from None
        return found

    def _volumes(self, given: Any) -> set[str]:
        for name, one in _entries(given, "volumes", self.problems):
            for key, value in one.items():
                local = key == "driver" and value == "local"
                if key not in ("name", "labels") and not local and not _extension(key) and value is not False:
                    self.problems.append(f"volumes.{name}: {key} is not supported")
        return set(given) if isinstance(given, Mapping) else set()

    def _networks(self, given: Any) -> dict[str, bool]:
        """The declared networks, and whether each has no way out."""
        found = {}
        for name, one in _entries(given, "networks", self.problems):
            for key, value in one.items():
                plain = (key == "driver" and value in ("bridge", "default")) or key == "internal"
                if key not in _NETWORK_IGNORED and not plain and not _extension(key) and value is not False:
                    self.problems.append(f"networks.{name}: {key} is not supported")
            with _Named(self.problems, f"networks.{name}: internal"):
                found[name] = values.flag(one.get("internal", False))
        return found


class _Named:
    """A block whose `ComposeError` becomes a problem under a name."""

    def __init__(self, problems: list[str], name: str) -> None:
        self._problems, self._name = problems, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ComposeError | TypeError | AttributeError):
            told = str(error) if isinstance(error, ComposeError) else "its form is not supported"
            self._problems.append(f"{self._name}: {told}")
            return True
        return False


def _extension(key: Any) -> bool:
    return str(key).startswith("x-")


def _entries(given: Any, what: str, problems: list[str]) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(given, Mapping):
        problems.append(f"{what}: it is no mapping")
        return []
    return [(str(name), one if isinstance(one, Mapping) else {}) for name, one in given.items()]


def _network_mode(value: Any) -> dict[str, Any]:
    if value not in ("none", "bridge", "default"):
        raise ComposeError(f"{value} is not supported")
    return {"no_network": True} if value == "none" else {}


def _dependencies(value: Any) -> dict[str, Condition]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(values.texts(value), "started")
    found: dict[str, Condition] = {}
    for name, given in value.items():
        if left := sorted(set(given or {}) - {"condition", "restart", "required"}):
            raise ComposeError(f"{name}.{', '.join(left)} is not supported")
        condition = (given or {}).get("condition", "service_started")
        if condition not in _CONDITIONS:
            raise ComposeError(f"the condition {condition} is not supported")
        if not values.flag((given or {}).get("required", True)):
            raise ComposeError(f"{name}.required is not supported")
        found[str(name)] = _CONDITIONS[condition]
    return found


def _deploy(value: Any) -> dict[str, Any]:
    resources = value.get("resources") or {}
    limits = resources.get("limits") or {}
    left = [key for key in value if key not in {"resources", "replicas"} | _DEPLOY_IGNORED]
    left += [f"resources.{key}" for key in resources if key not in ("limits", "reservations")]
    left += [f"resources.limits.{key}" for key in limits if key not in ("cpus", "memory", "pids")]
    left += ["resources.reservations.devices"] * ("devices" in (resources.get("reservations") or {}))
    left += ["replicas"] * (values.number(value.get("replicas") or "1") != 1)
    if left := [key for key in left if not _extension(key)]:
        raise ComposeError(f"{', '.join(sorted(left))} is not supported")
    found: dict[str, Any] = {}
    if limits.get("memory") is not None:
        found["memory_bytes"] = values.byte_size(limits["memory"]) or None
    if limits.get("cpus") is not None:
        found["cpus"] = values.number(limits["cpus"]) or None
    return found


def _capabilities(value: Any) -> dict[str, Any]:
    asked = tuple(name.upper().removeprefix("CAP_") for name in values.texts(value))
    if wide := sorted(set(asked) & _ESCAPES):
        raise ComposeError(f"{', '.join(wide)} would open the host")
    return {"cap_add": asked}


def _privileged(value: Any) -> dict[str, Any]:
    if values.flag(value):
        raise ComposeError("it would open the host")
    return {}
