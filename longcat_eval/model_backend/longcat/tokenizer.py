"""What is asked of a tokenizer: the checkpoint's own through transformers, or that of bytes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.records import Wire

TEMPLATE_FILE = Path(__file__).with_name("chat_template.jinja")
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer(Protocol):
    """Text to ids and back; `special_ids` are the role markers and the end of text, shown to nobody."""

    vocab_size: int
    bos_id: int | None
    eos_id: int
    pad_id: int | None
    special_ids: frozenset[int]
    remark: str
    """What a reader of a run should know of it; empty for a checkpoint's own tokenizer and template."""

    @property
    def template(self) -> str:
        """The chat template in use, as Jinja text."""
        ...

    def encode(self, text: str, allow_special: bool = True, *, wrap: bool = False) -> list[int]:
        """Ids of a text; `allow_special` reads markers in it, `wrap` adds the tokenizer's own."""
        ...

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Text of ids; tool tags are text, role markers only without `skip_special`."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a single token stands for."""
        ...

    def chat_text(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> str:
        """The conversation as the template writes it, up to the assistant's marker if `generate`."""
        ...

    def chat_ids(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> list[int]:
        """`chat_text` as ids."""
        ...


class CheckpointTokenizer:
    """The tokenizer of a checkpoint folder; without a chat template of its own the fallback is used."""

    def __init__(self, folder: Path, *, fix_mistral_regex: bool = False) -> None:
        """Read the folder; raises `CheckpointError`."""
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        names = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")
        if not any((folder / name).is_file() for name in names):
            raise CheckpointError(f"{folder} has no tokenizer ({names[0]}); fetch it from the checkpoint")
        kind = PreTrainedTokenizerFast if (folder / names[0]).is_file() else AutoTokenizer
        try:
            self.inner: Any = kind.from_pretrained(
                str(folder), trust_remote_code=False, fix_mistral_regex=fix_mistral_regex
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = " ".join(str(error).split())[:200]
            raise CheckpointError(f"the tokenizer of {folder} cannot be read: {said}") from None
        if self.inner.eos_token_id is None:
            raise CheckpointError(f"the tokenizer of {folder} has no eos_token; fetch tokenizer_config.json")
        self._keep_still()
        self.vocab_size = len(self.inner)
        self.bos_id, self.eos_id = self.inner.bos_token_id, int(self.inner.eos_token_id)
        self.pad_id = self.inner.pad_token_id
        self.special_ids = frozenset(int(i) for i in self.inner.all_special_ids)
        own = self.inner.get_chat_template() if self.inner.chat_template else None
        self._template: str = own or TEMPLATE_FILE.read_text(encoding="utf-8")
        self.remark = "" if own else "the checkpoint has no chat template: longcat-eval's own is used"

    @property
    def template(self) -> str:
        """The checkpoint's chat template, else the fallback."""
        return self._template

    def _keep_still(self) -> None:
        """Have no limits set that each call would set anew: then several threads may use it at once."""
        backend = getattr(self.inner, "backend_tokenizer", None)
        if backend is not None:
            backend.no_truncation()
            backend.no_padding()

    def encode(self, text: str, allow_special: bool = True, *, wrap: bool = False) -> list[int]:
        """Ids of a text."""
        split = {} if allow_special else {"split_special_tokens": True}
        return list(self.inner.encode(text, add_special_tokens=wrap, **split))

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Text of ids, exactly as its tokens join."""
        return str(
            self.inner.decode(list(ids), skip_special_tokens=skip_special, clean_up_tokenization_spaces=False)
        )

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a byte-level or byte-fallback token, of any other its text in UTF-8."""
        piece = self.inner.convert_ids_to_tokens(token)
        if piece is None:
            return b""
        byte = BYTE_TOKEN.fullmatch(piece)
        if byte:
            return bytes([int(byte[1], 16)])
        if token not in self.inner.added_tokens_decoder and all(c in UNICODE_BYTES for c in piece):
            return bytes(UNICODE_BYTES[c] for c in piece)
        return self.decode([token], skip_special=False).encode()

    def chat_text(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> str:
        """The conversation by the checkpoint's own template."""
        return str(self._apply(messages, tools, generate, tokenize=False))

    def chat_ids(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None = None, *, generate: bool = True
    ) -> list[int]:
        """`chat_text` as ids."""
        return list(self._apply(messages, tools, generate, tokenize=True, return_dict=False))

    def _apply(
        self, messages: Sequence[Wire], tools: Sequence[Wire] | None, generate: bool, **how: Any
    ) -> Any:
        return self.inner.apply_chat_template(
            list(messages),
            tools=list(tools) if tools else None,
            chat_template=self.template,
            add_generation_prompt=generate,
            **how,
        )


def byte_alphabet() -> dict[str, int]:
    """Characters of byte-level BPE vocabularies to the bytes they stand for (GPT-2's `bytes_to_unicode`)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


UNICODE_BYTES = byte_alphabet()
