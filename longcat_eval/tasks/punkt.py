"""NLTK's sentence model punkt_tab (English): found where NLTK finds it, or fetched without NLTK's hub.

Kiss and Strunk 2006, Unsupervised Multilingual Sentence Boundary Detection (Computational Linguistics 32).
IFEval and COLLIE count words and sentences with it, so it has to be the known one. The PyPI wheel of
llama-index-core carries the very files that nltk.download("punkt_tab") brings.
"""

import hashlib
from pathlib import Path

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.unpacked_wheel import UnpackedWheel

NEEDED_BY = ("collie", "ifeval")
VERSION = "0.14.25"
WHEEL = f"llama-index-core=={VERSION}"
WHEEL_SHA256 = "caa7d9c5ac9b13dc33400cf8d5e92e689b6d1e4497eb9bfa50d6f52ca2eb22a1"
RECORD = f"llama_index_core-{VERSION}.dist-info/RECORD"
RECORD_SHA256 = "d8e0ea3c3e5ab1af96fe2ea0e449908d37f9e3a68c69333ab1dcaf8d61017646"
ROOT = "llama_index/core/_static/nltk_cache"
MODEL = "tokenizers/punkt_tab/english"
FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
KNOWN = "cf3e52af81e7"
REMEDY = f"set NLTK_DATA to a folder that holds {MODEL}"


def punkt_cache() -> Path:
    """Where the fetched part of the wheel is kept, present or not."""
    from platformdirs import user_cache_path

    return user_cache_path("longcat-eval") / "punkt" / f"llama-index-core-{VERSION}"


def find_punkt() -> Path:
    """Return the folder for NLTK's search path: the fetched one, else the first in which NLTK looks.

    Raises `EnvironmentUnusableError` where there is none or another model, and without nltk.
    """
    try:
        import nltk.data
    except ModuleNotFoundError:
        raise EnvironmentUnusableError("there is no nltk: pip install 'longcat-eval[lm-eval]'") from None
    found = ""
    for root in (punkt_cache() / ROOT, *map(Path, nltk.data.path)):
        if all((root / MODEL / name).is_file() for name in FILES):
            if punkt_version(root) == KNOWN:
                return root
            found = found or f" ({root / MODEL} holds another one)"
    raise EnvironmentUnusableError(
        "NLTK's sentence model punkt_tab is not here: `longcat-eval fetch punkt` takes it from a wheel of "
        f"your package index (12 MB), or {REMEDY}{found}"
    )


def fetch_punkt() -> Path:
    """Return the same, fetching it once into the user's cache (12 MB, of which 240 kB stay)."""
    try:
        return find_punkt()
    except EnvironmentUnusableError:
        folder = punkt_cache()
    wheel = UnpackedWheel(
        "punkt_tab", WHEEL, WHEEL_SHA256, RECORD, RECORD_SHA256, folder, REMEDY, f"{ROOT}/{MODEL}/"
    )
    return wheel.fetch() / ROOT


def punkt_version(root: Path) -> str:
    """Twelve digits of a hash over the model's files."""
    parts = (hashlib.sha256((root / MODEL / name).read_bytes()).digest() for name in FILES)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def use_punkt(root: str) -> None:
    """Let NLTK of this process look into `root` first."""
    import nltk.data

    if root not in nltk.data.path:
        nltk.data.path.insert(0, root)
