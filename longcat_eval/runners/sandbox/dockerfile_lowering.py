"""Dockerfiles for BuildKit in words that a builder without it understands; the same image comes out.

Heredocs of COPY become files of a helper image, because files in the context would be copied by a
`COPY . /app` too; heredocs of RUN become the exec form of the same shell. What BuildKit does with them is
followed (`frontend/dockerfile/dockerfile2llb/convert.go`: dispatchRun, dispatchCopy).
"""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from longcat_eval.runners.sandbox.base_images import Base
from longcat_eval.runners.sandbox.dockerfile import (
    From,
    Heredoc,
    Instruction,
    assign,
    declare,
    heredoc_word,
    json_words,
    parse,
    stages,
)
from longcat_eval.runners.sandbox.dockerfile_words import expand, split_words

VERSION = "1"
"""Part of the name of every image built: a change here builds anew."""
HELPER = "longcat-eval/heredocs"
HEREDOCS, FLAGS = "heredocs", "flags"
"""What a builder may know by itself: heredocs (BuildKit of Docker 23), and the flags of any BuildKit."""

_HELPER_MARK = "\0"
_LONGEST_LINE = 60_000
"""The classic builder reads lines of at most 65,535 bytes."""
_DROPPED = {"link": "", "mount": "type=cache", "network": "default", "security": "sandbox"}
_CLASSIC = {"COPY": {"from", "chown"}, "ADD": {"chown"}}
_SHELL = ("/bin/sh", "-c")


class Added(NamedTuple):
    """A file of the helper image."""

    content: bytes
    mode: int = 0o644


class Lowered(NamedTuple):
    """A plain Dockerfile. `files` are those of the image `helper`, which it copies from; no files, no helper.

    `problems` are what it cannot say without BuildKit, each with its line: such a text is not to be built.
    """

    text: str
    files: Mapping[str, Added]
    problems: tuple[str, ...]

    @property
    def helper(self) -> str:
        """The name of the image with the files."""
        return helper_name(self.files)


@dataclass
class _Stage:
    """What a stage's instructions have set so far; `vague` names have values that only the base knows."""

    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    vague: set[str] = field(default_factory=set)
    known: bool = False
    shell: tuple[str, ...] = _SHELL
    user: str = ""

    @property
    def values(self) -> dict[str, str]:
        """What `$name` means: ENV goes over ARG."""
        return {**self.arguments, **self.environment}

    def unclear(self, names: frozenset[str]) -> set[str]:
        """Which of these names, found without a value or vague, only the base image knows."""
        return set() if self.known else set(names)


def helper_name(files: Mapping[str, Added]) -> str:
    """The helper image of these files, named by their content."""
    digest = hashlib.sha256()
    for path, (content, mode) in sorted(files.items()):
        digest.update(f"{path}\0{mode:o}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{HELPER}:{digest.hexdigest()[:12]}"


def lower(
    text: str,
    *,
    args: Mapping[str, str] | None = None,
    bases: Mapping[str, Base] | None = None,
    native: frozenset[str] = frozenset(),
    matches: Callable[[str], Sequence[str]] = lambda pattern: (pattern,),
) -> Lowered:
    """Lower a Dockerfile for a builder that knows what is in `native` by itself.

    `args` are the build arguments; `bases` are the images to take for the external ones, by reference.
    `matches` are the paths in the context that a source of COPY means, folders with a slash at the end.
    """
    return _Lowering(text, args or {}, bases or {}, native, matches).done()


class _Lowering:
    """One pass over the instructions."""

    def __init__(
        self,
        text: str,
        args: Mapping[str, str],
        bases: Mapping[str, Base],
        native: frozenset[str],
        matches: Callable[[str], Sequence[str]],
    ) -> None:
        self._file = parse(text)
        self._args, self._bases, self._native, self._matches = args, bases, native, matches
        self._begun = {stage.position: stage for stage in stages(self._file, args)}
        self._stages: dict[str, _Stage] = {}
        self._outer: dict[str, str] = {}
        self._stage: _Stage | None = None
        self._files: dict[str, Added] = {}
        self._problems: list[str] = []

    def done(self) -> Lowered:
        """The whole file."""
        lines = [f"# escape={self._file.escape}\n"] if self._file.escape != "\\" else []
        for index, one in enumerate(self._file.instructions):
            lines += [line if line.endswith("\n") else line + "\n" for line in self._lines(index, one)]
        text = "".join(lines).replace(_HELPER_MARK, helper_name(self._files))
        return Lowered(text, self._files, tuple(self._problems))

    def _lines(self, index: int, one: Instruction) -> list[str]:
        if one.keyword == "FROM" and not one.onbuild:
            return self._from(self._begun[index], one)
        if not one.onbuild:
            self._note(one)
        if one.keyword == "RUN":
            return self._run(one)
        return self._copy(one) if one.keyword in ("COPY", "ADD") else [one.raw]

    def _from(self, begun: From, one: Instruction) -> list[str]:
        base = self._bases.get(begun.reference) if begun.external else None
        if begun.external:
            self._stage = _Stage()
            if base is not None and base.environment is not None:
                self._stage = _Stage(dict(base.environment), known=True, user=base.user)
                self._stage.shell = base.shell or _SHELL
        elif begun.reference == "scratch":
            self._stage = _Stage(known=True)
        else:
            parent = self._stages.get(begun.reference.lower(), _Stage())
            self._stage = replace(
                parent, environment=dict(parent.environment), arguments={}, vague=set(parent.vague)
            )
        number = str(sum(1 for other in self._begun if other < begun.position))
        self._stages |= {name: self._stage for name in (number, begun.stage) if name}
        platform = f"--platform={begun.platform} " if begun.platform and not (base and base.stand_in) else ""
        name = base.name if base is not None else begun.reference
        lines = [f"FROM {platform}{name}" + (f" AS {begun.stage}" if begun.stage else "")]
        return lines + ([f"WORKDIR {base.workdir}"] if base is not None and base.workdir else [])

    def _note(self, one: Instruction) -> None:
        """Remember what an instruction sets."""
        escape = self._file.escape
        stage = self._stage
        if stage is None:
            if one.keyword == "ARG":
                declare(self._outer, one.rest, self._args, escape)
        elif one.keyword == "ARG":
            vague = declare(stage.arguments, one.rest, self._args, escape, self._outer, stage.environment)
            stage.vague |= stage.unclear(vague)
        elif one.keyword == "ENV":
            for name, value in assign(one.rest, stage.values, escape).items():
                stage.environment[name] = value.text
                stage.vague.discard(name)
                if value.refused or stage.unclear(value.unknown):
                    stage.vague.add(name)
        elif one.keyword == "USER":
            stage.user = expand(one.rest, stage.values, escape=escape).text
        elif one.keyword == "SHELL":
            stage.shell = tuple(json_words(one.rest) or _SHELL)

    def _problem(self, one: Instruction, what: str) -> None:
        self._problems.append(f"line {one.line}: {what}")

    def _run(self, one: Instruction) -> list[str]:
        heredocs = () if HEREDOCS in self._native else one.heredocs
        flags = self._kept_flags(one, set())
        if not heredocs:
            if flags == one.flags:
                return [one.raw]
            return [_join("RUN", flags, one.rest, one), *_bodies(one)]
        if json_words(one.rest) is not None:
            self._problem(one, "a heredoc in the exec form of RUN")
        shell = self._stage.shell if self._stage is not None else _SHELL
        words = split_words(one.rest, self._file.escape)
        if len(words) == 1 and heredoc_word(words[0]) is not None:
            script = heredocs[0].text
            words = _with_shebang(script) if script.startswith("#!") else [*shell, script]
        else:
            script = one.rest + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in heredocs)
            words = [*shell, script]
        return [_join("RUN", flags, _exec_form(words, self._file.escape), one)]

    def _kept_flags(self, one: Instruction, plain: set[str]) -> tuple[str, ...]:
        """The flags that stay: those that an old builder knows; one that is needed is a problem."""
        if FLAGS in self._native:
            return one.flags
        kept = []
        for flag in one.flags:
            name, _, value = flag.removeprefix("--").partition("=")
            if name in plain:
                kept.append(flag)
            elif name not in _DROPPED or not _droppable(name, value):
                self._problem(one, f"{one.keyword} {flag} needs BuildKit")
        return tuple(kept)

    def _copy(self, one: Instruction) -> list[str]:
        heredocs = () if HEREDOCS in self._native else one.heredocs
        chmod = None if FLAGS in self._native else one.flag("chmod")
        words = json_words(one.rest)
        exec_form = words is not None
        words = words if words is not None else one.rest.split()
        if len(words) < 2:
            return [one.raw]
        without = one._replace(
            flags=tuple(f for f in one.flags if chmod is None or not f.startswith("--chmod="))
        )
        flags = self._renamed(self._kept_flags(without, _CLASSIC[one.keyword]))
        *sources, target = words
        if one.keyword == "ADD" and FLAGS not in self._native and any(_is_git(word) for word in sources):
            self._problem(one, "ADD of a git repository needs BuildKit")
        found = list(sources) if one.flag("from") is not None else self._found(sources)
        if max(len(found), len(sources)) > 1 and not target.endswith("/"):
            target += "/"
        elif not heredocs and chmod is None and flags == one.flags:
            return [one.raw]
        inline = [word for word in sources if heredoc_word(word) is not None] if heredocs else []
        outside = [word for word in sources if word not in inline]
        lines = []
        if inline:
            lines.append(self._copy_inline(one, flags, heredocs, target))
        if outside:
            rest = json.dumps([*outside, target]) if exec_form else " ".join([*outside, target])
            lines += [_join(one.keyword, flags, rest, one), *([] if inline else _bodies(one, self._native))]
            if chmod is not None:
                meant = outside if one.flag("from") is not None else self._found(outside)
                lines += self._chmod(one, meant, target, chmod)
        return lines

    def _found(self, sources: Sequence[str]) -> list[str]:
        """The paths in the context that sources mean; a variable or an address stays as it is."""
        found: list[str] = []
        for source in sources:
            special = "$" in source or "://" in source or heredoc_word(source) is not None
            found += [source] if special else self._matches(source)
        return found

    def _renamed(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        """The flags, with the image to take for an external one."""
        known = {f"--from={reference}": f"--from={base.name}" for reference, base in self._bases.items()}
        stages = {f"--from={name}" for name in self._stages}
        return tuple(flag if flag.lower() in stages else known.get(flag, flag) for flag in flags)

    def _copy_inline(
        self,
        one: Instruction,
        flags: tuple[str, ...],
        heredocs: tuple[Heredoc, ...],
        target: str,
    ) -> str:
        """COPY from the helper image what the heredocs hold."""
        if one.onbuild or one.flag("from") is not None:
            self._problem(one, f"a heredoc with {'ONBUILD' if one.onbuild else '--from'} needs BuildKit")
        chmod = one.flag("chmod")
        octal = chmod is not None and re.fullmatch("[0-7]{3,4}", chmod) is not None
        if chmod is not None and not octal and FLAGS not in self._native:
            self._problem(one, f"{one.keyword} --chmod={chmod} needs BuildKit")
        mode = int(chmod, 8) if chmod is not None and octal else 0o644
        paths = []
        for heredoc in heredocs:
            if not re.fullmatch(r"[\w.+-]+", heredoc.name) or heredoc.name in (".", ".."):
                self._problem(one, f"a heredoc named {heredoc.name!r}: a file cannot have that name")
            path = f"{len(self._files)}/{heredoc.name}"
            content = self._expanded(one, heredoc) if heredoc.expands else heredoc.text
            self._files[path] = Added(content.encode("utf-8", "surrogateescape"), mode)
            paths.append(f"/{path}")
        kept = tuple(flag for flag in flags if flag.startswith(("--chown=", "--chmod=")))
        return _join("COPY", (f"--from={_HELPER_MARK}", *kept), json.dumps([*paths, target]), one)

    def _expanded(self, one: Instruction, heredoc: Heredoc) -> str:
        stage = self._stage or _Stage()
        done = expand(heredoc.text, stage.values, quotes=False)
        used = {name for name in stage.vague if re.search(rf"\$\{{?{name}\b", heredoc.text)}
        for name in sorted(stage.unclear(done.unknown) | used):
            self._problem(
                one,
                f"the heredoc {heredoc.name} uses ${name}, which only its base image knows: pull that first",
            )
        for form in sorted(done.refused):
            self._problem(one, f"the heredoc {heredoc.name} uses {form}, which needs BuildKit")
        return done.text

    def _chmod(self, one: Instruction, sources: list[str], target: str, mode: str) -> list[str]:
        """RUN chmod on what was copied, as root."""
        if target.endswith("/"):
            paths = [target + source.rpartition("/")[2] for source in sources]
        else:
            paths = [target]
        unsure = any(re.search(r"[*?\[]|(^|/)\.?$", path) for path in paths)
        if one.onbuild or unsure or (one.keyword == "ADD" and any("://" in source for source in sources)):
            self._problem(one, f"{one.keyword} --chmod={mode} of a folder's content needs BuildKit")
        quoted = [f'"{path}"' if "$" in path else shlex.quote(path) for path in paths]
        lines = [f"RUN chmod -R {shlex.quote(mode)} {' '.join(quoted)}"]
        user = self._stage.user if self._stage is not None else ""
        return ["USER root", *lines, f"USER {user}"] if user not in ("", "root", "0") else lines


def _droppable(name: str, value: str) -> bool:
    """Whether an old builder does the same without that flag; a cache mount is only faster."""
    wanted = _DROPPED[name]
    return wanted in ("", value) or (name == "mount" and wanted in value.split(","))


def _is_git(source: str) -> bool:
    return source.startswith("git@") or re.fullmatch(r"(https?|git)://\S+\.git(#\S*)?", source) is not None


def _join(keyword: str, flags: tuple[str, ...], rest: str, one: Instruction) -> str:
    return " ".join([*(["ONBUILD"] if one.onbuild else []), keyword, *flags, rest])


def _bodies(one: Instruction, native: frozenset[str] = frozenset({HEREDOCS})) -> list[str]:
    """The heredocs of a line that is written anew for a builder that reads them."""
    if HEREDOCS not in native:
        return []
    return [f"{heredoc.content}{heredoc.name}" for heredoc in one.heredocs]


def _with_shebang(script: str) -> list[str]:
    """BuildKit runs such a script as a file; here it is one for as long as it runs."""
    return [
        *_SHELL,
        f'f=$(mktemp) && printf %s {shlex.quote(script)} >"$f" && chmod 700 "$f" && "$f"; '
        's=$?; rm -f "$f"; exit $s',
    ]


def _exec_form(words: list[str], escape: str) -> str:
    """JSON, broken over lines where it is too long for one, at places where nothing is lost."""
    text = json.dumps(words)
    pieces = []
    while len(text) > _LONGEST_LINE:
        found = [match.end() for match in re.finditer(r"[A-Za-z0-9](?=[A-Za-z0-9])", text[:_LONGEST_LINE])]
        if not found:
            break
        pieces.append(text[: found[-1]])
        text = text[found[-1] :]
    return f"{escape}\n".join([*pieces, text])
