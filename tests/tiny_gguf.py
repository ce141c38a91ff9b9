"""A language model of a few kilobytes in GGUF form: random weights, byte tokens, loads in milliseconds.

It says nonsense, but through the very server, sampler and template code that a real model goes through.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
INT32 = 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
WIDTH, HIDDEN, HEADS, CONTEXT = 32, 64, 2, 8192
ALIGNMENT = 32

TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }} {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant {% endif %}"
)


def write_tiny_gguf(path: Path, seed: int = 0) -> Path:
    """Write the model and return its path."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁", *"abcdefghijklmnopqrstuvwxyz", *("▁" + c for c in "abcdefghijklmnopqrstuvwxyz")]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * 53]
    metadata: dict[str, tuple[int, Any]] = {
        "general.architecture": (STRING, "llama"),
        "llama.context_length": (UINT32, CONTEXT),
        "llama.embedding_length": (UINT32, WIDTH),
        "llama.block_count": (UINT32, 1),
        "llama.feed_forward_length": (UINT32, HIDDEN),
        "llama.attention.head_count": (UINT32, HEADS),
        "llama.rope.dimension_count": (UINT32, WIDTH // HEADS),
        "llama.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, tokens)),
        "tokenizer.ggml.scores": (ARRAY, (FLOAT32, [-float(i) for i in range(len(tokens))])),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, kinds)),
        "tokenizer.ggml.bos_token_id": (UINT32, 1),
        "tokenizer.ggml.eos_token_id": (UINT32, 2),
        "tokenizer.chat_template": (STRING, TEMPLATE),
    }
    tensors = random_tensors(len(tokens), seed)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, (kind, value) in metadata.items():
        header += text(key) + struct.pack("<I", kind) + packed(kind, value)
    data = b""
    for name, tensor in tensors.items():
        header += text(name) + struct.pack("<I", tensor.ndim)
        header += b"".join(struct.pack("<Q", size) for size in reversed(tensor.shape))
        header += struct.pack("<IQ", 0, len(data))
        data += tensor.tobytes()
        data += b"\0" * (-len(data) % ALIGNMENT)
    path.write_bytes(header + b"\0" * (-len(header) % ALIGNMENT) + data)
    return path


def random_tensors(vocabulary: int, seed: int) -> dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]:
    """One block of a llama, with the logits of control tokens kept low."""
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
        return (random.standard_normal((rows, columns)) * 0.3).astype(np.float32)

    output = matrix(vocabulary, WIDTH)
    output[:259] = 0.0  # bytes and control tokens: all letters stay likelier
    block = {f"attn_{name}": matrix(WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    block |= {
        "ffn_gate": matrix(HIDDEN, WIDTH),
        "ffn_up": matrix(HIDDEN, WIDTH),
        "ffn_down": matrix(WIDTH, HIDDEN),
    }
    block |= {name: np.ones(WIDTH, np.float32) for name in ("attn_norm", "ffn_norm")}
    return {
        "token_embd.weight": matrix(vocabulary, WIDTH),
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, np.float32),
        **{f"blk.0.{name}.weight": tensor for name, tensor in block.items()},
    }


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def packed(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(packed(inner, item) for item in items)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f"}[kind], value)
