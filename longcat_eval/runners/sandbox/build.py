"""Images from Dockerfiles: once per content, at most two at a time on this machine, whoever asks.

An image's name has its content: the digest given (of a task), the bases' ids, arguments, platform, and how
it is lowered.
"""

import asyncio
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import dockerfile_lowering as lowering
from longcat_eval.runners.sandbox.base_images import Base, inspect, resolve_bases
from longcat_eval.runners.sandbox.build_context import (
    DOCKERFILE_NAME,
    context_matches,
    pack_context,
    pack_helper,
    read_dockerfile,
)
from longcat_eval.runners.sandbox.buildx import buildx_build, has_buildx
from longcat_eval.runners.sandbox.classic_build import RefusedError, classic_build
from longcat_eval.runners.sandbox.daemon import Daemon
from longcat_eval.runners.sandbox.dockerfile import Dockerfile, external_images, parse
from longcat_eval.runners.sandbox.dockerfile_lowering import Lowered, lower
from longcat_eval.runners.sandbox.file_locks import any_lock
from longcat_eval.runners.sandbox.image_store import ledger_path, note_built
from longcat_eval.runners.sandbox.owner import PREFIX
from longcat_eval.runners.sandbox.service import Recipe

Method = Literal["auto", "classic", "buildx"]

REPOSITORY = "longcat-eval/terminal"
BUILT_LABEL = f"{PREFIX}built"
AT_ONCE = 2
TRIES, PAUSE_SECONDS = 3, 2.0
"""Tries of a build that fails for the network, and the pause after the first; it doubles."""
SHOWN_LINES = 12
BUILDKIT_API = (1, 42)
"""The API of Docker 23, whose BuildKit knows heredocs and whose classic builder is deprecated."""
NETWORK_FAILURES = re.compile(
    r"temporary failure (in name resolution|resolving)|could not resolve host|network is unreachable"
    r"|(connection|read|connect|handshake) timed? ?out|i/o timeout|tls handshake timeout|connection reset"
    r"|failed to fetch|unable to fetch some archives|hash sum mismatch|connection broken"
    r"|(502 bad gateway|503 service unavailable|504 gateway time-?out)|max retries exceeded",
    re.IGNORECASE,
)


class BuildError(SandboxError):
    """A build that failed (`build_failed`) or took too long (`build_timeout`), with its whole log."""

    def __init__(self, reason: str, message: str, log: str = "") -> None:
        super().__init__(reason, message)
        self.log = log


class Built(NamedTuple):
    """An image that is there, and the images that it stands on.

    `seconds` is what its build took, 0 where it was there already; `log` is what the builder said.
    """

    image: str
    bases: Mapping[str, Base]
    seconds: float = 0.0
    log: str = ""

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The bases for which another image stands in, and which: `python:3.13-slim -> python-3.13`."""
        return tuple(f"{base.reference} -> {base.stand_in}" for base in self.bases.values() if base.stand_in)


class ImageBuilder:
    """Builds on one daemon. `method` forces the daemon's classic builder or buildx; auto takes buildx where
    the daemon is Docker 23 or newer, or where the Dockerfile cannot be built without it.

    A build that failed for its own reasons is not tried again by the same builder.
    """

    def __init__(self, daemon: Daemon, method: Method = "auto") -> None:
        self._daemon, self._method = daemon, method
        self._failed: dict[str, BuildError] = {}
        self._platform = ""

    async def build(
        self,
        recipe: Recipe,
        *,
        name: str,
        digest: str,
        seconds: float,
        base_map: Mapping[str, str],
        platform: str = "",
        pull: bool = True,
    ) -> Built:
        """Return the image of a recipe, built unless it is there; `seconds` bound all its tries together.

        `digest` covers the recipe's files. Raises `BuildError`, or `SandboxError` (`image_missing` for a base
        that cannot be had, `daemon_lost`).
        """
        text = await asyncio.to_thread(read_dockerfile, recipe.context, recipe.dockerfile)
        file = parse(text)
        args = {**await self._platform_args(platform), **recipe.args}
        references = external_images(file, args)
        bases = await self._daemon.call(
            lambda: resolve_bases(self._daemon.long_api, references, base_map, pull=pull)
        )
        method, lowered = await asyncio.to_thread(self._lowered, recipe.context, text, args, bases)
        tag = image_name(name, digest, recipe, bases, platform)
        if tag in self._failed:
            raise self._failed[tag]
        if await self._here(tag):
            return Built(tag, bases)
        if lowered.problems:
            raise BuildError("build_failed", f"{name}: {'; '.join(lowered.problems)}")
        job = _Job(self._daemon, method, recipe, lowered, tag, _declared(file, args), self._foreign(platform))
        try:
            return Built(tag, bases, *await self._once(job, seconds))
        except BuildError as error:
            self._failed[tag] = error
            raise

    async def _once(self, job: "_Job", seconds: float) -> tuple[float, str]:
        """Seconds and log of the build, unless another process made the image while this one waited."""
        folder = ledger_path().parent / "builds"
        own = folder / f"{hashlib.sha256(job.tag.encode()).hexdigest()[:16]}.lock"
        async with any_lock([own]):
            if await self._here(job.tag):
                return 0.0, ""
            async with any_lock([folder / f"slot-{number}.lock" for number in range(AT_ONCE)]):
                began = time.monotonic()
                log = await _with_limit(job, seconds)
                await self._daemon.call(note_built, self._daemon.api, self._daemon.facts.id, job.tag)
                return time.monotonic() - began, log

    async def _here(self, name: str) -> bool:
        return await self._daemon.call(inspect, self._daemon.api, name) is not None

    def _lowered(
        self, context: Path, text: str, args: Mapping[str, str], bases: Mapping[str, Base]
    ) -> tuple[Method, Lowered]:
        """Which builder, and the Dockerfile as it can read it."""
        modern = tuple(int(part) for part in self._daemon.version.split(".")) >= BUILDKIT_API
        native = frozenset({lowering.FLAGS, lowering.HEREDOCS} if modern else {lowering.FLAGS})
        lowered = partial(lower, text, args=args, bases=bases, matches=partial(context_matches, context))
        method = self._method
        if method == "auto" and modern:
            method = "buildx" if has_buildx() else "classic"
        if method != "buildx":
            plain = lowered()
            if method == "classic" or not plain.problems or not has_buildx():
                return "classic", plain
        return "buildx", lowered(native=native)

    async def _platform_args(self, platform: str) -> dict[str, str]:
        """The arguments that BuildKit gives every build."""
        if not self._platform:
            about = await self._daemon.call(self._daemon.api.version)
            self._platform = f"{about.get('Os', 'linux')}/{about.get('Arch', 'amd64')}"
        found: dict[str, str] = {}
        for side, value in (("BUILD", self._platform), ("TARGET", platform or self._platform)):
            system, _, machine = value.partition("/")
            architecture, _, variant = machine.partition("/")
            found |= {f"{side}PLATFORM": value, f"{side}OS": system}
            found |= {f"{side}ARCH": architecture, f"{side}VARIANT": variant}
        return found

    def _foreign(self, platform: str) -> str:
        """The platform, if it is not the daemon's own."""
        return platform if platform != self._platform else ""


class _Job(NamedTuple):
    """One build, ready to run."""

    daemon: Daemon
    method: Method
    recipe: Recipe
    lowered: Lowered
    tag: str
    args: Mapping[str, str]
    platform: str

    async def run(self, log: list[str]) -> None:
        """Build once; `RefusedError` if it fails."""
        if self.lowered.files and not await self.daemon.call(inspect, self.daemon.api, self.lowered.helper):
            with pack_helper(self.lowered.files) as archive:
                settings = {"t": self.lowered.helper, "dockerfile": DOCKERFILE_NAME, "rm": 1, "version": 1}
                await self._classic(archive, settings, [])
            await self.daemon.call(note_built, self.daemon.api, self.daemon.facts.id, self.lowered.helper)
        await (self._by_buildx(log) if self.method == "buildx" else self._by_daemon(log))

    async def _by_daemon(self, log: list[str]) -> None:
        context, dockerfile = self.recipe.context, self.recipe.dockerfile
        archive = await asyncio.to_thread(pack_context, context, dockerfile, self.lowered.text)
        settings: dict[str, Any] = {"t": self.tag, "dockerfile": DOCKERFILE_NAME, "version": 1}
        settings |= {"rm": 1, "forcerm": 1, "labels": {BUILT_LABEL: self.tag}, "buildargs": self.args}
        settings |= {"target": self.recipe.target} if self.recipe.target else {}
        settings |= {"platform": self.platform} if self.platform else {}
        with archive:
            await self._classic(archive, settings, log)

    async def _classic(self, archive: Any, settings: Mapping[str, Any], log: list[str]) -> None:
        await classic_build(self.daemon.endpoint, self.daemon.version, archive, settings, log.append)

    async def _by_buildx(self, log: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            dockerfile = Path(folder) / "Dockerfile"
            dockerfile.write_text(self.lowered.text, encoding="utf-8", errors="surrogateescape")
            await buildx_build(
                self.recipe.context,
                dockerfile,
                self.tag,
                log.append,
                args=self.args,
                labels={BUILT_LABEL: self.tag},
                target=self.recipe.target,
                platform=self.platform,
            )


async def _with_limit(job: _Job, seconds: float) -> str:
    """Run a job within its time, again where the network failed; its log."""
    log: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            for number in range(TRIES):
                start = len(log)
                try:
                    await job.run(log)
                    break
                except RefusedError as error:
                    said = "".join([*log[start:], str(error)])
                    if number + 1 == TRIES or not NETWORK_FAILURES.search(said):
                        raise
                    log.append(f"\n[the network failed; try {number + 2} of {TRIES}]\n")
                    await asyncio.sleep(PAUSE_SECONDS * 2**number)
    except TimeoutError:
        raise BuildError(
            "build_timeout",
            f"the build of {job.tag} took longer than {seconds:.0f} s; its log ended with: {_tail(log)}",
            "".join(log),
        ) from None
    except RefusedError as error:
        raise BuildError(
            "build_failed",
            f"the build of {job.tag} failed: {error}; its log ended with: {_tail(log)}",
            "".join(log),
        ) from None
    return "".join(log)


def _tail(log: list[str]) -> str:
    lines = [line for line in "".join(log).splitlines() if line.strip()]
    return "\n".join(lines[-SHOWN_LINES:]) or "(nothing)"


def _declared(file: Dockerfile, args: Mapping[str, str]) -> dict[str, str]:
    """The arguments that some ARG asks for: the daemon warns of others."""
    asked = {
        word.partition("=")[0]
        for one in file.instructions
        if one.keyword == "ARG"
        for word in one.rest.split()
    }
    return {name: value for name, value in args.items() if name in asked}


def image_name(name: str, digest: str, recipe: Recipe, bases: Mapping[str, Base], platform: str) -> str:
    """The name of an image, in which its content is."""
    content: list[Any] = [
        digest,
        lowering.VERSION,
        recipe.dockerfile,
        recipe.target,
        platform,
        dict(recipe.args),
    ]
    content.append(sorted((base.reference, base.id, base.workdir) for base in bases.values()))
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return f"{REPOSITORY}.{plain(name)}:{key}"


def plain(name: str) -> str:
    """A name as a repository's may be: lower-case letters, digits, and single separators inside."""
    return (
        re.sub(r"[^a-z0-9]+$|^[^a-z0-9]+", "", re.sub(r"[^a-z0-9.-]+|[._-]{2,}", "-", name.lower()))
        or "image"
    )
