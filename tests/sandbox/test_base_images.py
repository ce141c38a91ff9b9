"""Which image is built on: a mapped one, what is here, a stand-in, the registry's; and what a stand-in is."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from longcat_eval.cli.stand_ins import build_stand_ins
from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import SandboxError
from longcat_eval.runners.sandbox import stand_ins as made
from longcat_eval.runners.sandbox.base_images import (
    StandIn,
    mapped,
    notes,
    parse_map,
    plain_name,
    resolve_bases,
    stand_in_for,
)
from longcat_eval.runners.sandbox.daemon import connect
from longcat_eval.runners.sandbox.dockerfile import parse
from longcat_eval.runners.sandbox.image_store import read_ledger

UBUNTU, PYTHON = "ghcr.io/laude-institute/t-bench/ubuntu-24-04:20250624", "python:3.13-slim-bookworm"


class FakeDaemon:
    """Local images by name with their labels, and what a registry has."""

    def __init__(self, local: Mapping[str, dict[str, str]], registry: tuple[str, ...] = ()) -> None:
        self.local, self.registry, self.pulled = dict(local), registry, list[str]()

    def inspect_image(self, name: str) -> dict[str, Any]:
        if name not in self.local:
            raise ImageNotFound("none")
        config = {
            "Labels": self.local[name],
            "Env": ["A=1=2", "PATH=/bin"],
            "User": "u",
            "WorkingDir": "/app",
        }
        return {"Id": f"sha256:{name}", "Config": config}

    def info(self) -> dict[str, str]:
        return {"ID": "fake"}

    def pull(self, repository: str, tag: str, **options: Any) -> list[dict[str, str]]:
        name = f"{repository}:{tag}"
        self.pulled.append(name)
        if name not in self.registry:
            return [{"status": "x"}, {"error": "no route to host"}]
        self.local[name] = {}
        return []


@pytest.mark.parametrize(
    ("reference", "stand_in"),
    [
        (UBUNTU, StandIn("debian-12", "")),
        ("ghcr.io/laude-institute/t-bench/ubuntu-24-04:latest@sha256:1", StandIn("debian-12", "")),
        ("ghcr.io/laude-institute/t-bench/python-3-13:20250620", StandIn("python-3.13", "")),
        ("ubuntu", StandIn("debian-12", "/")),
        ("docker.io/library/ubuntu:22.04", StandIn("debian-12", "/")),
        ("debian:bullseye-slim", StandIn("debian-12", "/")),
        (PYTHON, StandIn("python-3.13", "/")),
        ("python:3.8.18-slim", StandIn("python-3.8", "/")),
        ("python:3.9", StandIn("python-3.9", "/")),
        ("python:3.13-alpine", None),
        ("python:3-slim", None),
        ("python", None),
        ("other/python:3.13", None),
        ("my.registry/ubuntu:24.04", None),
        ("postgres:15", None),
    ],
)
def test_families_of_stand_ins(reference: str, stand_in: StandIn | None) -> None:
    assert stand_in_for(reference) == stand_in


def test_names_without_what_goes_without_saying() -> None:
    assert plain_name("docker.io/library/a") == "a:latest"
    assert plain_name("host:5000/a") == "host:5000/a:latest"
    assert plain_name("a@sha256:1") == "a@sha256:1"


def test_maps() -> None:
    entries = parse_map(["a:1=b:2", "ghcr.io/*=mirror:5000/*", "ghcr.io/x/*=one:1"])
    assert mapped("a:1", entries) == "b:2"
    assert mapped("a:2", entries) is None
    assert mapped("ghcr.io/y/z:3", entries) == "mirror:5000/y/z:3"
    assert mapped("ghcr.io/x/z:3", entries) == "one:1"
    for wrong in ("a", "=b", "a=", "a=b*"):
        with pytest.raises(UsageError, match="maps no image"):
            parse_map([wrong])


def test_a_local_image_goes_before_a_stand_in_and_a_map_before_both() -> None:
    stand_ins = {"longcat-eval/stand-in:python-3.13": {"lceval.stand-in": "python-3.13"}}
    daemon = FakeDaemon({**stand_ins, "mine:1": {}, "ubuntu:24.04": {}}, (PYTHON,))
    found = resolve_bases(daemon, [PYTHON, "ubuntu:24.04"], {})
    python, ubuntu = found.values()
    assert (python.name, python.origin) == ("longcat-eval/stand-in:python-3.13", "stand-in")
    assert (python.stand_in, python.workdir, python.user) == ("python-3.13", "/", "u")
    assert python.environment == {"A": "1=2", "PATH": "/bin"}
    assert (ubuntu.name, ubuntu.origin, ubuntu.workdir, ubuntu.stand_in) == ("ubuntu:24.04", "local", "", "")
    assert notes(found) == {PYTHON: "longcat-eval/stand-in:python-3.13 (stand-in python-3.13)"}
    assert resolve_bases(daemon, [PYTHON], {"python:*": "mine:1"})[PYTHON].origin == "mapped"
    assert resolve_bases(daemon, [PYTHON], {PYTHON: PYTHON})[PYTHON].name == PYTHON
    assert daemon.pulled == [PYTHON]
    assert list(read_ledger()["fake"]) == [PYTHON]


def test_what_stands_on_a_stand_in_says_so() -> None:
    daemon = FakeDaemon({"derived:1": {"lceval.stand-in": "debian-12"}})
    assert resolve_bases(daemon, ["x:1"], {"x:1": "derived:1"})["x:1"].stand_in == "debian-12"


def test_a_base_that_cannot_be_had_has_its_remedies() -> None:
    with pytest.raises(SandboxError) as failed:
        resolve_bases(FakeDaemon({}), [UBUNTU], {})
    assert failed.value.reason == "image_missing"
    for words in (
        "no route to host",
        f"--base-image-map {UBUNTU}=IMAGE",
        "images build --stand-in debian-12",
    ):
        assert words in str(failed.value)
    with pytest.raises(SandboxError) as failed:
        resolve_bases(FakeDaemon({}), ["postgres:15"], {})
    assert "--stand-in" not in str(failed.value)


def fake_python(prefix: Path) -> Path:
    """A prefix that looks like a CPython 3.9 with one package more."""
    lib = prefix / "lib/python3.9"
    for name in ("os.py", "test/x.py", "__pycache__/os.pyc", "json/tests/y.py", "site-packages/pip/a.py"):
        (lib / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / name).touch()
    for name in (
        "README.txt",
        "numpy/a.py",
        "proxy.pth",
        "pip-1.dist-info/RECORD",
        "distutils-precedence.pth",
    ):
        (lib / "site-packages" / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / "site-packages" / name).touch()
    (prefix / "lib/libpython3.9.a").touch()
    (prefix / "bin").mkdir()
    for name in ("python3.9", "pip3", "f2py"):
        (prefix / "bin" / name).touch()
    return prefix


def test_only_a_python_itself_is_moved(tmp_path: Path) -> None:
    names = {path.relative_to(tmp_path).as_posix() for path in made.python_files(fake_python(tmp_path))}
    assert {name for name in names if not (tmp_path / name).is_dir()} == {
        "bin/pip3",
        "bin/python3.9",
        "lib/python3.9/os.py",
        "lib/python3.9/site-packages/distutils-precedence.pth",
        "lib/python3.9/site-packages/pip-1.dist-info/RECORD",
        "lib/python3.9/site-packages/pip/a.py",
    }


def test_scripts_find_the_python_that_was_moved() -> None:
    assert made.relocated(b"#!/root/.pyenv/bin/python3.9\nx\n", "3.9") == b"#!/usr/local/bin/python3.9\nx\n"
    assert made.relocated(b"#!/bin/sh\nx\n", "3.9") == b"#!/bin/sh\nx\n"
    assert made.relocated(b"\x7fELF\0", "3.9") == b"\x7fELF\0"


def test_the_newest_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    for name in ("3.9.2", "3.9.18", "3.10.1", "3.9-dev"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    assert made.find_python("3.9").name == "3.9.18"
    with pytest.raises(EnvironmentUnusableError, match=r"pyenv install 3\.8"):
        made.find_python("3.8")
    with pytest.raises(EnvironmentUnusableError, match=r"no CPython 3\.9 is installed"):
        made.check_python(tmp_path, "3.9")
    made.check_python(fake_python(tmp_path), "3.9")


def test_the_dockerfile_of_a_python_is_one() -> None:
    assert [one.keyword for one in parse(made.python_dockerfile("3.9")).instructions] == [
        "FROM",
        "COPY",
        "RUN",
        "CMD",
    ]


@pytest.fixture
def no_image(monkeypatch: pytest.MonkeyPatch, docker_daemon: None) -> None:
    monkeypatch.setattr(made, "STAND_IN_REPOSITORY", "longcat-eval-test/no-stand-in")


@pytest.mark.docker
def test_what_a_stand_in_needs_is_said(no_image: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made.shutil, "which", lambda name, path=None: None)
    with pytest.raises(EnvironmentUnusableError, match="apt-get install debootstrap"):
        made.make_stand_in("debian-12")
    monkeypatch.setattr(made.shutil, "which", lambda name, path=None: "/bin/false")
    monkeypatch.setattr(made.os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentUnusableError, match="needs root"):
        made.make_stand_in("debian-12")


@pytest.mark.docker
def test_a_debootstrap_that_fails_says_what_it_said(
    no_image: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "debootstrap"
    tool.write_text("#!/bin/sh\necho E: no mirror\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setattr(made.shutil, "which", lambda name, path=None: str(tool))
    monkeypatch.setattr(made.os, "geteuid", lambda: 0)
    with pytest.raises(EnvironmentUnusableError, match="debootstrap failed: E: no mirror"):
        made.make_stand_in("debian-12")


def test_the_command_names_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(name: str, **options: Any) -> str:
        if name == "python-3.7":
            raise EnvironmentUnusableError("no CPython 3.7")
        return f"image:{name}"

    monkeypatch.setattr(made, "make_stand_in", make)
    assert build_stand_ins(["debian-12", "python-3.7"], None, light=False) == 5
    said = capsys.readouterr().out
    assert "ok    debian-12: image:debian-12" in said
    assert "fail  python-3.7: no CPython 3.7" in said
    assert build_stand_ins(["debian-12"], None, light=True) == 0
    with pytest.raises(UsageError, match="--python is the prefix of one"):
        build_stand_ins(["debian-12"], Path("/x"), light=False)


@pytest.mark.docker
def test_unknown_stand_ins(docker_daemon: None) -> None:
    with pytest.raises(UsageError, match="no stand-in 'fedora'"):
        made.make_stand_in("fedora")


@pytest.mark.docker
def test_a_root_is_imported_and_marked(
    docker_daemon: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a debootstrap that copies the host's static busybox instead of fetching packages."""
    tool = tmp_path / "debootstrap"
    tool.write_text(
        '#!/bin/sh\nmkdir -p "$4/bin" "$4/var/cache/apt" "$4/etc"\n'
        'touch "$4/var/cache/apt/pkgcache.bin" "$4/etc/resolv.conf" "$4/etc/kept"\n'
        'cp "$(command -v busybox || echo /bin/true)" "$4/bin/busybox"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setattr(made, "STAND_IN_REPOSITORY", "longcat-eval-test/stand-in")
    monkeypatch.setattr(made.shutil, "which", lambda name, path=None: str(tool))
    monkeypatch.setattr(made.os, "geteuid", lambda: 0)
    said: list[str] = []
    image = made.make_stand_in("debian-12", light=True, say=said.append)
    try:
        assert made.make_stand_in("debian-12") == image
        assert len(said) == 2
        with connect() as client:
            config = client.api.inspect_image(image)["Config"]
            container = client.api.create_container(image)["Id"]
            root = io.BytesIO(b"".join(client.api.export(container)))
            client.api.remove_container(container)
        assert (config["Labels"], config["WorkingDir"]) == ({"lceval.stand-in": "debian-12"}, "/app")
        with tarfile.open(fileobj=root) as tar:
            listing = tar.getnames()
        assert {"etc/kept", "app", "var/cache/apt"} <= set(listing)
        assert "var/cache/apt/pkgcache.bin" not in listing
    finally:
        with connect() as client:
            client.api.remove_image(image)
