"""Terminal tasks of our own in every format, small enough for tests, on an image of the host."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

COMPOSE = """\
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
"""
SUMMARY = "echo '=========== short test summary info ==========='"
CHECK = f"""\
#!/bin/bash
{SUMMARY}
if [ "$(cat /app/answer.txt)" = 42 ]; then echo "PASSED $TEST_DIR/test_outputs.py::test_answer"
else echo "FAILED $TEST_DIR/test_outputs.py::test_answer - AssertionError: no"; fi
"""
REWARD = """\
#!/bin/bash
if [ "$(cat /app/answer.txt)" = 42 ]; then echo 1 >/logs/verifier/reward.txt
else echo 0 >/logs/verifier/reward.txt; fi
"""
SOLVE = "echo 42 >/app/answer.txt\n"


def dockerfile(base: str, *lines: str) -> str:
    """A Dockerfile on a local image."""
    return "\n".join([f"FROM {base}", "WORKDIR /app", *lines, ""])


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder; scripts can be run."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return folder


def terminal_bench(
    folder: Path,
    base: str,
    *,
    solution: str = SOLVE,
    solution_yaml: str = "",
    tests: str = CHECK,
    settings: str = "",
    compose: str = COMPOSE,
    lines: tuple[str, ...] = (),
) -> Path:
    """A task of terminal-bench 1.x: write 42 into answer.txt."""
    about = "instruction: Write 42 into answer.txt in the folder you are in.\ndifficulty: easy\n"
    files = {
        "task.yaml": about + settings,
        "Dockerfile": dockerfile(base, *lines),
        "docker-compose.yaml": compose,
        "run-tests.sh": tests,
        "tests/test_outputs.py": "",
    }
    files |= {"solution.yaml": solution_yaml} if solution_yaml else {"solution.sh": solution}
    return write(folder, files)


def harbor(
    folder: Path,
    base: str,
    *,
    config: str = "",
    solution: str = SOLVE,
    tests: str = REWARD,
    more: Mapping[str, str] | None = None,
) -> Path:
    """The same task in harbor's format, of one step."""
    files = {
        "task.toml": textwrap.dedent(config) or "[agent]\ntimeout_sec = 60\n",
        "instruction.md": "Write 42 into answer.txt in the folder you are in.",
        "environment/Dockerfile": dockerfile(base),
        "solution/solve.sh": f"#!/bin/bash\n{solution}",
        "tests/test.sh": tests,
    }
    return write(folder, files | dict(more or {}))


def harbor_steps(folder: Path, base: str, *, strategy: str = "mean", least: str = "") -> Path:
    """Two steps: a file, then the same file changed; the first one's setup leaves a mark."""
    config = f"""\
        multi_step_reward_strategy = "{strategy}"
        [agent]
        timeout_sec = 60
        [[steps]]
        name = "first"
        {least}
        [[steps]]
        name = "second"
        """
    check = '#!/bin/bash\n[ "$(cat /app/%s)" = %s ] && r=1 || r=0\necho $r >/logs/verifier/reward.txt\n'
    files = {
        "task.toml": textwrap.dedent(config),
        "environment/Dockerfile": dockerfile(base),
        "steps/first/instruction.md": "Write 1 into a.",
        "steps/first/workdir/setup.sh": "#!/bin/bash\necho ready >/app/mark\n",
        "steps/first/solution/solve.sh": "#!/bin/bash\n[ -e /app/mark ] && echo 1 >/app/a\n",
        "steps/first/tests/test.sh": check % ("a", "1"),
        "steps/second/instruction.md": "Write 2 into b.",
        "steps/second/solution/solve.sh": "#!/bin/bash\n[ ! -e /tests/test.sh ] && echo 2 >/app/b\n",
        "steps/second/tests/test.sh": check % ("b", "2"),
    }
    return write(folder, files)
