"""A peer's own code in the peer's own environment: JSON lines in, JSON lines out."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def told_by(
    python: Path, script: Path, *words: str | Path, lines: Sequence[Any], seconds: float = 600
) -> list[Any]:
    """What the script says to the lines: everything on its standard output that is a JSON object or null.

    Peers log in between. The test fails with the end of what the script complained of.
    """
    done = subprocess.run(
        [python, script, *words],
        input="\n".join(map(json.dumps, lines)),
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **OFFLINE},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{") or line == "null"]
