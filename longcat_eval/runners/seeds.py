"""Seeds by hash: repeats differ, a resume repeats the same draw, order and concurrency change nothing."""

import hashlib
import json

from longcat_eval.records import AttemptKey


def attempt_seed(base: int, key: AttemptKey, turn: int = 0) -> int:
    """First 31 bits of sha256 over the JSON list [base, task, sample, repeat, turn] (DESIGN §3)."""
    text = json.dumps([base, key.task, key.sample, key.repeat, turn], ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def shard_of(sample: str, shards: int) -> int:
    """The shard (1..shards) of a sample: by hash, so that shards are even and stable when items are added."""
    return int.from_bytes(hashlib.sha256(sample.encode()).digest()[:8]) % shards + 1
