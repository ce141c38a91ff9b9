"""Names the models of a file that may hold keys, and tells them to the world."""

import os
from pathlib import Path

FILE = os.environ.get("VITA_MODEL_CONFIG_PATH") or Path(__file__).with_name("models.yaml")
MODELS = Path(FILE).read_text(encoding="utf-8").split()
print(f"models: {MODELS}")  # noqa: T201 - as the original does
