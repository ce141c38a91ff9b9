"""The tokenizer of the preset `tiny`: one id per byte, and LongCat's markers.

Ids: 0 to 3 unknown, bos, eos, pad; then the role markers, which are special as in the checkpoint, then the
tool tags, which are not (the model card decodes without special tokens and then reads the calls); then the
256 bytes. What is left of the vocabulary stands for nothing.
"""

import re
from collections.abc import Sequence
from functools import cached_property

from longcat_eval.model_backend.longcat.tokenizer import TEMPLATE_FILE
from longcat_eval.records import Wire

SPECIAL = (
    "<longcat_unk>",
    "<longcat_bos>",
    "</longcat_s>",
    "<longcat_pad>",
    "<longcat_system>",
    "<longcat_user>",
    "<longcat_assistant>",
    "<longcat_observation>",
)
TOOL_TAGS = (
    "<longcat_tool_declare>",
    "</longcat_tool_declare>",
    "<longcat_tool_call>",
    "</longcat_tool_call>",
    "<longcat_arg_key>",
    "</longcat_arg_key>",
    "<longcat_arg_value>",
    "</longcat_arg_value>",
    "<longcat_tool_response>",
    "</longcat_tool_response>",
    "<longcat_think>",
    "</longcat_think>",
)
MARKERS = SPECIAL + TOOL_TAGS
FIRST_BYTE = 32
VOCABULARY = 320


class ByteTokenizer:
    """Bytes and markers; every text has ids, and ids that are no valid UTF-8 give U+FFFD."""

    vocab_size = VOCABULARY
    bos_id: int | None = 1
    eos_id = 2
    pad_id: int | None = 3
    special_ids = frozenset(range(len(SPECIAL)))
    remark = ""

    @cached_property
    def template(self) -> str:
        """The fallback template."""
        return TEMPLATE_FILE.read_text(encoding="utf-8")

    def encode(self, text: str, allow_special: bool = True, *, wrap: bool = False) -> list[int]:
        """Ids of a text; nothing is wrapped around it, a lone surrogate becomes `?`."""
        ids: list[int] = []
        for part in MARKER.split(text):
            marker = IDS.get(part)
            if marker is not None and (allow_special or marker not in self.special_ids):
                ids.append(marker)
            else:
                ids += [FIRST_BYTE + byte for byte in part.encode("utf-8", "replace")]
        return ids

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Text of ids."""
        kept = (i for i in ids if not (skip_special and i in self.special_ids))
        return b"".join(map(self.token_bytes, kept)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """A byte, a marker's text, or nothing."""
        if FIRST_BYTE <= token < FIRST_BYTE + 256:
            return bytes([token - FIRST_BYTE])
        return MARKERS[token].encode() if 0 <= token < len(MARKERS) else b""

    def chat_text(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> str:
        """The conversation by the fallback template."""
        from longcat_eval.model_backend.longcat.chat import render

        return render(self.template, messages, tools, generate=generate)

    def chat_ids(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> list[int]:
        """`chat_text` as ids."""
        return self.encode(self.chat_text(messages, tools, generate=generate))


IDS = {marker: number for number, marker in enumerate(MARKERS)}
MARKER = re.compile(f"({'|'.join(map(re.escape, MARKERS))})")
