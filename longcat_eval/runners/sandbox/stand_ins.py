"""Base images made on this machine, for where no registry can be reached: Debian 12, and a CPython on it.

They stand in for images of the same family (`stand_ins.yaml`), and a label marks them, for results to say so.
Made as root by debootstrap from Debian's packages; the Python is one of this machine.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.runners.sandbox.base_images import STAND_IN_LABEL, STAND_IN_REPOSITORY, inspect

if TYPE_CHECKING:
    from docker.api import APIClient

DEBIAN = "debian-12"
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
PACKAGES = (
    "asciinema",
    "ca-certificates",
    "curl",
    "gcc",
    "git",
    "libc6-dev",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "tmux",
)
LIGHT_PACKAGES = ("ca-certificates", "curl", "git", "procps", "python3", "tmux")
"""Half the size, for machines that are thrown away; without a compiler and pip."""
PYTHON_LIBRARIES = (
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "zlib1g",
)
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SSL_CERT_FILE": AUTHORITIES,
    "PIP_CERT": AUTHORITIES,
    "REQUESTS_CA_BUNDLE": AUTHORITIES,
    "UV_PYTHON_DOWNLOADS": "never",
}
SECONDS = 1800
_PYTHON = re.compile(r"python-(3\.\d+)")
_LEFT_OUT = re.compile(r"(^|/)(test|tests|idle_test|__pycache__)(/|$)|\.(a|pyc)$")
_OWN_PACKAGES = r"(pip|setuptools|wheel|pkg_resources|_distutils_hack|distutils-precedence)\b"
_OWN_PROGRAMS = r"(python|pip|pydoc|idle|2to3)"
_ADDED = re.compile(rf"lib/python3\.\d+/site-packages/(?!{_OWN_PACKAGES}).|bin/(?!{_OWN_PROGRAMS})")

Say = Callable[[str], None]


def make_stand_in(
    name: str, *, python: Path | None = None, light: bool = False, say: Say = lambda line: None
) -> str:
    """Make the stand-in `debian-12` or `python-3.X` unless it is there; return its image's name.

    `python` is the prefix of the CPython to take, by default pyenv's newest of that minor version; `light`
    leaves out packages. Raises `UsageError` for other names, `EnvironmentUnusableError` with the remedy for
    what is missing on this machine.
    """
    from longcat_eval.runners.sandbox.daemon import connect

    minor = _PYTHON.fullmatch(name)
    if name != DEBIAN and minor is None:
        raise UsageError(f"no stand-in {name!r} is known: give {DEBIAN}, or python-3.13 and the like")
    image = f"{STAND_IN_REPOSITORY}:{name}"
    with connect() as client:
        if inspect(client.api, image) is not None:
            return image
        if minor is None:
            _make_debian(client.api, LIGHT_PACKAGES if light else PACKAGES, say)
        else:
            prefix = find_python(minor[1]) if python is None else python
            check_python(prefix, minor[1])
            make_stand_in(DEBIAN, light=light, say=say)
            _make_python(client.api, prefix, minor[1], say)
    return image


def _make_debian(api: "APIClient", packages: Sequence[str], say: Say) -> None:
    tool = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin:/sbin")
    if tool is None:
        raise EnvironmentUnusableError("a stand-in for base images needs: apt-get install debootstrap")
    if os.geteuid() != 0:
        raise EnvironmentUnusableError("debootstrap needs root: make the stand-in with sudo")
    with tempfile.TemporaryDirectory(prefix="longcat-stand-in-") as folder:
        root = Path(folder) / "root"
        say(f"debootstrap {SUITE} with {len(packages)} packages from {MIRROR}, about a minute")
        _run([tool, "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(root), MIRROR])
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(root, arcname=".", filter=_debian_file)
            _add_host_authorities(tar)
            _add_folder(tar, "app")
        say("docker import")
        _import(api, archive, DEBIAN)


def _run(words: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnusableError(f"{Path(words[0]).name} did not end in {SECONDS} s") from None
    if done.returncode:
        last = " | ".join(done.stdout.strip().splitlines()[-5:])
        raise EnvironmentUnusableError(f"{Path(words[0]).name} failed: {last}")


def _debian_file(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without what apt and debootstrap leave, this machine's names, and device files."""
    name = entry.name.removeprefix("./")
    gone = ("etc/resolv.conf", "etc/hostname", "var/log/bootstrap.log", AUTHORITIES.lstrip("/"))
    caches = re.match(r"var/(cache/apt|lib/apt/lists)/", name) is not None and not entry.isdir()
    return None if name in gone or caches or entry.isdev() else entry


def _add_host_authorities(tar: tarfile.TarFile) -> None:
    """The certificate authorities that this machine trusts: a proxy's among them, where there is one."""
    if Path(AUTHORITIES).is_file():
        tar.add(os.path.realpath(AUTHORITIES), arcname=f".{AUTHORITIES}", filter=_owned_by_root)


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(f"./{name}")
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _import(api: Any, archive: Path, tag: str) -> None:
    changes = ["WORKDIR /app", 'CMD ["bash"]', f"LABEL {STAND_IN_LABEL}={tag}"]
    changes += [f"ENV {name}={value}" for name, value in ENVIRONMENT.items()]
    said = api.import_image_from_file(str(archive), repository=STAND_IN_REPOSITORY, tag=tag, changes=changes)
    if inspect(api, f"{STAND_IN_REPOSITORY}:{tag}") is None:
        raise EnvironmentUnusableError(f"the daemon does not import {archive}: {said}")


def find_python(minor: str) -> Path:
    """The prefix of pyenv's newest CPython of that minor version."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [path for path in versions.glob(f"{minor}.*") if re.fullmatch(r"[\d.]+", path.name)]
    if not found:
        raise EnvironmentUnusableError(
            f"no CPython {minor} under {versions}: pyenv install {minor}, or give a prefix with --python"
        )
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")])


def check_python(prefix: Path, minor: str) -> None:
    """`EnvironmentUnusableError` unless a CPython of that minor version is at `prefix` itself."""
    if not (prefix / "bin" / f"python{minor}").exists() or not (prefix / "lib" / f"python{minor}").is_dir():
        raise EnvironmentUnusableError(f"no CPython {minor} is installed at {prefix}")
    if prefix.resolve() == Path("/usr"):
        raise EnvironmentUnusableError(f"the system's own Python in {prefix} cannot be moved: give another")


def python_files(prefix: Path) -> list[Path]:
    """What of a Python's prefix goes into an image: no tests, caches, static libraries or added packages."""
    found = []
    for path in sorted(prefix.rglob("*")):
        name = path.relative_to(prefix).as_posix()
        if not _LEFT_OUT.search(name) and not _ADDED.match(name):
            found.append(path)
    return found


def relocated(content: bytes, minor: str) -> bytes:
    """A script with the interpreter that it will have, whichever it had."""
    first, newline, rest = content.partition(b"\n")
    if not re.fullmatch(rb"#!.*/python[\d.]*\s*", first):
        return content
    return f"#!/usr/local/bin/python{minor}".encode() + newline + rest


def _make_python(api: Any, prefix: Path, minor: str, say: Say) -> None:
    import io

    say(f"CPython {minor} from {prefix}, with the libraries it needs")
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            text = python_dockerfile(minor).encode()
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
            for path in python_files(prefix):
                entry = _owned_by_root(tar.gettarinfo(path, f"root/{path.relative_to(prefix)}"))
                if not entry.isreg():
                    tar.addfile(entry)
                    continue
                content = path.read_bytes()
                content = relocated(content, minor) if path.parent.name == "bin" else content
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        archive.seek(0)
        last = ""
        for line in api.build(
            fileobj=archive,
            custom_context=True,
            tag=f"{STAND_IN_REPOSITORY}:python-{minor}",
            labels={STAND_IN_LABEL: f"python-{minor}"},
            rm=True,
            forcerm=True,
            decode=True,
        ):
            last = str(line.get("error") or last)
    if last:
        raise EnvironmentUnusableError(f"the stand-in python-{minor} could not be built: {last.strip()}")


def python_dockerfile(minor: str) -> str:
    """The Dockerfile of a Python on the Debian stand-in."""
    return (
        f"FROM {STAND_IN_REPOSITORY}:{DEBIAN}\n"
        "COPY root/ /usr/local/\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends "
        f"{' '.join(PYTHON_LIBRARIES)} && "
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb && "
        f"ldconfig && cd /usr/local/bin && ln -sf python{minor} python3 && ln -sf python3 python && "
        "python -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, zlib' && python -m pip --version\n"
        'CMD ["python3"]\n'
    )
