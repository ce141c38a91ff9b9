"""Compose files: what is understood, what is ignored on purpose, and that nothing else passes in silence."""

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.runners.sandbox.service import Healthcheck, Recipe, Service, Volume
from longcat_eval.tasks.terminal import compose_values as values
from longcat_eval.tasks.terminal.compose import Composed, read_compose
from longcat_eval.tasks.terminal.compose_file import ComposeFile
from longcat_eval.tasks.terminal.compose_variables import ComposeError, Variables

VARIABLES = {
    "T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME": "attempt-1",
    "T_BENCH_TASK_DOCKER_CLIENT_IMAGE_NAME": "tb__task__client",
    "T_BENCH_TEST_DIR": "/tests",
    "EMPTY": "",
}
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8)
PLAIN = st.text(string.ascii_letters + " :/.-", max_size=12)


def read(text: str, folder: Path) -> Composed:
    """A compose file in a folder that has some files beside it."""
    path = folder / "docker-compose.yaml"
    path.write_text(text, encoding="utf-8")
    (folder / "client").mkdir(exist_ok=True)
    (folder / "server.conf").write_text("x", encoding="utf-8")
    return read_compose(path, VARIABLES, folder)


def one(body: str, folder: Path) -> tuple[Service, tuple[str, ...]]:
    """A file of one service `a` with `image: i` and these lines."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    found = read(f"services:\n  a:\n    image: i\n{lines}\n", folder)
    return found.services[0], found.problems


def test_the_file_that_most_tasks_have(tmp_path: Path) -> None:
    text = """
services:
  client:
    build:
      dockerfile: Dockerfile
    image: ${T_BENCH_TASK_DOCKER_CLIENT_IMAGE_NAME}
    container_name: ${T_BENCH_TASK_DOCKER_CLIENT_CONTAINER_NAME}
    command: [ "sh", "-c", "sleep infinity" ]
    environment:
      - TEST_DIR=${T_BENCH_TEST_DIR}
    volumes:
      - ${T_BENCH_TASK_LOGS_PATH}:${T_BENCH_CONTAINER_LOGS_PATH}
      - ${T_BENCH_TASK_AGENT_LOGS_PATH}:${T_BENCH_CONTAINER_AGENT_LOGS_PATH}
"""
    found = read(text, tmp_path)
    assert found.problems == ()
    assert found.containers == {"client": "attempt-1"}
    assert found.services == (
        Service(
            name="client",
            recipe=Recipe(context=tmp_path),
            command=("sh", "-c", "sleep infinity"),
            idle=True,
            environment={"TEST_DIR": "/tests"},
        ),
    )


def test_every_key_that_is_understood(tmp_path: Path) -> None:
    (tmp_path / "vars.env").write_text(
        "A=file\nB='$x'  # said\n\n# no\nexport C=\"a\\nb\"\nEMPTY\n", encoding="utf-8"
    )
    text = """
x-common: &common
  user: "1000:1000"
  cap_add: [SYS_PTRACE, CAP_NET_ADMIN]
services:
  web:
    <<: *common
    build: {context: ./client, dockerfile: docker/File, args: {V: 1.10, T_BENCH_TEST_DIR: }, target: dev}
    entrypoint: /entry.sh --quiet "two words"
    command: tail -f /dev/null
    env_file: vars.env
    environment: {A: yes, N: 0800, T: true, U: null, P: "$$5"}
    working_dir: /srv
    hostname: web1
    tmpfs: [/run, "/root:size=100M,mode=755"]
    volumes:
      - /anonymous
      - data:/var/data:ro
      - ./server.conf:/etc/server.conf
      - {type: tmpfs, target: /cache, tmpfs: {size: 64m, mode: 0o700}}
      - {type: bind, source: ./client, target: /client, read_only: true}
      - {type: volume, source: data, target: /more}
    networks: {front: {aliases: [www, web.local]}, back: }
    extra_hosts: ["h.local:10.0.0.1", "six=[::1]"]
    dns: 192.0.2.1
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
    healthcheck:
      {test: curl -f http://localhost, interval: 1m30s, timeout: 1.5s, retries: 5, start_period: 500ms}
    mem_limit: 512m
    cpus: "1.5"
    shm_size: 1gb
    tty: true
    stdin_open: "true"
    platform: linux/amd64
  db:
    image: postgres:15
    network_mode: none
    deploy: {resources: {limits: {cpus: "0.5", memory: 1G}}, replicas: 1}
    healthcheck: {disable: true}
    depends_on: [job]
  job: {image: busybox, command: sleep infinity}
volumes: {data: {driver: local}}
networks: {front: {driver: bridge}, back: {internal: true}}
version: "3.8"
"""
    found = read(text, tmp_path)
    assert found.problems == ()
    web, db, job = found.services
    assert web == Service(
        name="web",
        recipe=Recipe(
            context=tmp_path / "client",
            dockerfile="docker/File",
            args={"V": "1.10", "T_BENCH_TEST_DIR": "/tests"},
            target="dev",
        ),
        user="1000:1000",
        cap_add=("SYS_PTRACE", "NET_ADMIN"),
        entrypoint=("/entry.sh", "--quiet", "two words"),
        command=("tail", "-f", "/dev/null"),
        environment={"A": "yes", "B": "$x", "C": "a\nb", "N": "0800", "T": "true", "P": "$5", "EMPTY": ""},
        workdir="/srv",
        hostname="web1",
        tmpfs={"/run": "", "/root": "size=100M,mode=755", "/cache": f"size={64 << 20},mode=700"},
        volumes=(
            Volume(target="/anonymous"),
            Volume(target="/var/data", name="data", read_only=True),
            Volume(target="/etc/server.conf", source=tmp_path / "server.conf"),
            Volume(target="/client", source=tmp_path / "client", read_only=True),
            Volume(target="/more", name="data"),
        ),
        networks={"front": ("www", "web.local"), "back": ()},
        internal=("back",),
        extra_hosts=("h.local:10.0.0.1", "six:::1"),
        dns=("192.0.2.1",),
        depends_on={"db": "healthy", "job": "completed"},
        healthcheck=Healthcheck(
            test=("CMD-SHELL", "curl -f http://localhost"),
            interval=90,
            timeout=1.5,
            retries=5,
            start_period=0.5,
        ),
        memory_bytes=512 << 20,
        cpus=1.5,
        shm_bytes=1 << 30,
        tty=True,
        stdin_open=True,
        platform="linux/amd64",
    )
    assert not web.idle, "its entrypoint does something"
    assert (db.no_network, db.healthcheck, db.depends_on) == (
        True,
        Healthcheck(test=("NONE",)),
        {"job": "started"},
    )
    assert (db.memory_bytes, db.cpus) == (1 << 30, 0.5)
    assert job.idle


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("profiles: [x]", "service a: profiles is not supported"),
        ("network_mode: host", "service a: network_mode: host is not supported"),
        ("privileged: true", "service a: privileged: it would open the host"),
        ("cap_add: [SYS_ADMIN]", "service a: cap_add: SYS_ADMIN would open the host"),
        ("devices: [/dev/kvm]", "service a: devices is not supported"),
        ("secrets: [x]", "service a: secrets is not supported"),
        (
            "volumes: ['/var/run/docker.sock:/s']",
            "service a: volumes: /var/run/docker.sock would hand over the host",
        ),
        ("volumes: ['/etc:/e']", "service a: volumes: /etc is a folder of the host, which is never mounted"),
        ("volumes: ['../x:/e']", "service a: volumes: ../x is a folder of the host, which is never mounted"),
        ("volumes: ['gone:/e']", "service a: volumes: the volume gone is not declared"),
        ("volumes: ['./client:e']", "service a: volumes: 'e' is no absolute path"),
        ("networks: [gone]", "service a: networks: the network gone is not declared"),
        (
            "networks: {default: {ipv4_address: 1.2.3.4}}",
            "service a: networks: default.ipv4_address is not supported",
        ),
        ("depends_on: [gone]", "service a: depends_on: there is no service gone"),
        ("depends_on: [a]", "depends_on goes round in a circle: a -> a"),
        (
            "depends_on: {a: {condition: healthy}}",
            "service a: depends_on: the condition healthy is not supported",
        ),
        ("healthcheck: {test: [curl, x]}", "service a: healthcheck: its test is neither"),
        ("healthcheck: {test: x, interval: 10}", "service a: healthcheck: '10' is no duration"),
        (
            "build: {context: ., additional_contexts: [x]}",
            "service a: build: additional_contexts is not supported",
        ),
        (
            "build: {context: ., dockerfile_inline: FROM x}",
            "service a: build: dockerfile_inline is not supported",
        ),
        (
            "build: https://example.org/x.git",
            "service a: build: the context https://example.org/x.git is not",
        ),
        ("build: ../..", "service a: build: '../..' lies outside the task's folder"),
        ("deploy: {replicas: 2}", "service a: deploy: replicas is not supported"),
        (
            "deploy: {resources: {reservations: {devices: [x]}}}",
            "service a: deploy: resources.reservations.devices",
        ),
        ("mem_limit: lots", "service a: mem_limit: 'lots' is no size"),
        ("cpus: -1", "service a: cpus: '-1' is no number"),
        ("user: [x]", "service a: user: ['x'] is not one value"),
        ("command: sh -c 'oh", 'service a: command: "sh -c \'oh" does not split'),
        ("environment: {A: $UNSET}", "the variable UNSET has no value"),
        ("environment: {A: '${UNSET:?say it}'}", "the variable UNSET is required: say it"),
        ("environment: {A: '$('}", "'$(' holds a $ that names no variable"),
        ("env_file: none.env", "service a: env_file: none.env: "),
    ],
)
def test_what_cannot_be_had_is_named(lines: str, told: str, tmp_path: Path) -> None:
    _, problems = one(lines, tmp_path)
    assert len(problems) == 1, problems
    assert problems[0].startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {a: {}}", "service a: it has neither image nor build"),
        ("services: {a: x}", "service a: it is no mapping"),
        ("services: {a: {image: i}}\nsecrets: {s: {file: x}}", "secrets is not supported"),
        ("services: {a: {image: i}}\ninclude: [x]", "include is not supported"),
        ("services: {a: {image: i}}\nvolumes: {v: {external: true}}", "volumes.v: external is not supported"),
        ("services: {a: {image: i}}\nnetworks: {n: {driver: host}}", "networks.n: driver is not supported"),
        ("services: [", "docker-compose.yaml: no YAML"),
        ("a: !reset 1\nservices: {a: {image: i}}", "docker-compose.yaml: no YAML"),
        ("- 1", "docker-compose.yaml: it holds no services"),
        ("", "docker-compose.yaml: it holds no services"),
    ],
)
def test_files_with_other_faults(text: str, told: str, tmp_path: Path) -> None:
    problems = read(text, tmp_path).problems
    assert len(problems) == 1, problems
    assert problems[0].startswith(told)


def test_what_means_nothing_here_is_no_problem(tmp_path: Path) -> None:
    lines = [
        "restart: always",
        'ports: ["22:22", 8000]',
        "expose: [1]",
        "labels: {a: b}",
        "init: true",
        "x-a: 1",
    ]
    assert one("\n".join(lines), tmp_path) == (Service(name="a", image="i"), ())


def test_a_fixed_container_name_is_a_name_on_the_network(tmp_path: Path) -> None:
    text = "services: {a: {image: i, container_name: box}, b: {image: i, container_name: c, networks: [n]}}"
    found = read(f"{text}\nnetworks: {{n: }}", tmp_path)
    assert [dict(service.networks) for service in found.services] == [{"default": ("box",)}, {"n": ("c",)}]


def test_an_image_that_another_service_builds(tmp_path: Path) -> None:
    found = read("services: {a: {build: client, image: mine}, b: {image: mine}, c: {image: other}}", tmp_path)
    recipe = Recipe(context=tmp_path / "client")
    assert [(s.image, s.recipe) for s in found.services] == [("", recipe), ("", recipe), ("other", None)]


def test_a_folder_that_two_services_mount_is_one_volume(tmp_path: Path) -> None:
    text = "services: {a: {image: i, volumes: ['./client:/x']}, b: {image: i, volumes: ['./client:/y:ro']}}"
    a, b = read(text, tmp_path).services
    assert a.volumes == (Volume(target="/x", name="shared-0", source=tmp_path / "client"),)
    assert b.volumes == (Volume(target="/y", name="shared-0", source=tmp_path / "client", read_only=True),)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    _, problems = one("volumes: ['./out:/x']", tmp_path)
    assert problems == ("service a: volumes: ./out is a folder of the host, which is never mounted",)


@pytest.mark.parametrize(
    ("command", "idle"),
    [
        ("sleep infinity", True),
        (["sh", "-c", "sleep infinity"], True),
        (["/bin/bash", "-lc", "exec tail -f /dev/null"], True),
        ("tail -F /dev/null", True),
        (["sh", "-c", "while true; do sleep 1000; done"], True),
        ("sleep 86400", True),
        ("sleep 5", False),
        (["sh", "-c", "service ssh start && sleep infinity"], False),
        ("python -m http.server", False),
        ([], False),
        (None, False),
    ],
)
def test_commands_that_only_keep_a_container_alive(command: Any, idle: bool, tmp_path: Path) -> None:
    service, problems = one(yaml.safe_dump({"command": command}).strip(), tmp_path)
    assert (service.idle, problems) == (idle, ())


@given(NAMES, PLAIN, PLAIN)
def test_variables_with_defaults(name: str, value: str, word: str) -> None:
    for given_value in (value, "", None):
        variables = Variables({} if given_value is None else {name: given_value})
        expected = {
            "${%s:-%s}": given_value or word,
            "${%s-%s}": word if given_value is None else given_value,
            "${%s:+%s}": word if given_value else "",
            "${%s+%s}": "" if given_value is None else word,
        }
        for form, result in expected.items():
            assert variables.substitute("<" + form % (name, word) + ">") == f"<{result}>"
        assert not variables.missing
        assert variables.substitute(f"${{{name}}}") == (given_value or "")
        assert variables.missing == (set() if given_value is not None else {name})


def test_words_may_hold_variables() -> None:
    variables = Variables({"B": "b"})
    assert variables.substitute("${A:-${B:-c}}${C:-${D:-$B}}$$B$$${B}") == "bb$B$b"
    for wrong in ("$", "${", "${A", "${1}", "${A!}", "a$-", "${A:?}"):
        with pytest.raises(ComposeError):
            variables.substitute(wrong)


@given(st.text(max_size=30))
def test_any_text_is_substituted_or_refused(text: str) -> None:
    try:
        done = Variables({"A": "1"}).substitute(text)
    except ComposeError:
        assert "$" in text
    else:
        assert "$" in text or done == text


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{milliseconds}ms"
    assert values.duration(text) == pytest.approx(hours * 3600 + minutes * 60 + milliseconds / 1000)


@given(st.integers(0, 4096), st.sampled_from(["", "k", "m", "g"]), st.sampled_from(["", "b", "B"]))
def test_sizes_step_by_1024(count: int, unit: str, byte: str) -> None:
    assert values.byte_size(f"{count}{unit}{byte}") == count << 10 * "_kmg".index(unit or "_")
    assert values.byte_size(f"{count}{unit.upper()}{byte}") == values.byte_size(f"{count}{unit}")


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["$A", "./client:/x", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [*ComposeFile({}, Path(), Variables({}), []).keys, "env_file", "container_name", "ports"]
)


@given(
    service=st.dictionaries(KEYS, TREES, max_size=4),
    top=st.sampled_from(["volumes", "networks", "x-a"]),
    entry=TREES,
)
def test_no_file_makes_the_reader_fail(
    service: dict[str, Any], top: str, entry: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "any-compose.yaml"
    path.write_text(yaml.safe_dump({"services": {"a": service}, top: entry}), encoding="utf-8")
    found = read_compose(path, {}, folder)
    assert found.services or found.problems
    assert all(isinstance(problem, str) and problem for problem in found.problems)
