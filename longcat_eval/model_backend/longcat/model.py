"""LongCat-Flash-Lite: embeddings with n-grams, fourteen shortcut-connected layers, a head.

    h_t = ( E[x_t] + sum over the 12 tables i of P_i T_i[id_i(t)] ) / 13      (arXiv:2601.21204)

Parameters are named as in the checkpoint; those that one kernel reads together are packed (`packing.py`). The
n-gram tables are no parameters: half of the model may lie where the rest does not.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longcat_eval.model_backend.longcat.attention import LatentAttention
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.experts import Experts, Kernel
from longcat_eval.model_backend.longcat.layer import MLP, ScMoELayer
from longcat_eval.model_backend.longcat.linear import Linear, Packed, can_pack
from longcat_eval.model_backend.longcat.ngram_hash import NgramHasher
from longcat_eval.model_backend.longcat.ngram_tables import Tables
from longcat_eval.model_backend.longcat.norm_rope import RMSNorm, Rotation
from longcat_eval.model_backend.longcat.one_row import OneRow, has_rows_to_spare
from longcat_eval.model_backend.longcat.quant import Quantisation
from longcat_eval.model_backend.longcat.step import Piece, Step

# Bytes of weights up to which a CPU keeps them in two forms, the second for steps of one token.
TWICE_BELOW = 4 * 1024**3


class Embedding(nn.Module):
    """A row per token."""

    def __init__(self, rows: int, width: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width, dtype=dtype), requires_grad=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """[T] to [T, width]."""
        return self.weight.index_select(0, tokens)


class NgramEmbeddings(nn.Module):
    """The projections of the n-gram tables' rows, `post_projs` [tables, H, d]."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype) -> None:
        super().__init__()
        shape = (config.ngram_tables, config.hidden_size, config.ngram_dim)
        self.tables = config.ngram_tables
        self.post_projs = nn.Parameter(torch.empty(shape, dtype=dtype), requires_grad=False)
        self._packed: Packed | None = None

    def forward(self, words: Tensor, rows: Tensor) -> Tensor:
        """Word embeddings [T, H] and table rows [T, tables, d] to their mean after projection, [T, H]."""
        if self._packed is not None:
            return (words + self._packed(rows.flatten(1))) / (1 + self.tables)
        total = words
        for i, projection in enumerate(self.post_projs):
            total = torch.addmm(total, rows[:, i], projection.t())
        return total / (1 + self.tables)

    def pack(self) -> None:
        """On a CPU project all tables' rows by one matrix, side by side; the weights are gone then."""
        together = self.post_projs.transpose(0, 1).flatten(1)
        if can_pack(together):
            self._packed = Packed(together)
            self.post_projs = nn.Parameter(torch.empty(0, dtype=together.dtype), requires_grad=False)


PACKS = (NgramEmbeddings, LatentAttention, MLP, Linear, Experts, RMSNorm)
"""What has a form of its own for a CPU."""


class Backbone(nn.Module):
    """Everything below the head."""

    def __init__(self, config: LiteConfig, dtype: torch.dtype, quant: Quantisation) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size, dtype)
        self.ngram_embeddings = NgramEmbeddings(config, dtype)
        self.layers = nn.ModuleList(
            ScMoELayer(config, dtype, quant.experts) for _ in range(config.num_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)


class LongcatLite(nn.Module):
    """The model; its weights are uninitialised until a loader fills them, and `tables` is to be set."""

    def __init__(
        self,
        config: LiteConfig,
        dtype: torch.dtype = torch.float32,
        quant: Quantisation = Quantisation(),  # noqa: B008 - frozen
        tables: Tables | None = None,
    ) -> None:
        super().__init__()
        self.config, self.dtype, self.quant = config, dtype, quant
        self.tables = tables
        self.on_disk: frozenset[int] = frozenset()
        """Layers whose weights the kernel pages in from files: never copied to memory as a whole."""
        self.hasher = NgramHasher(config)
        self._rotation = Rotation(config)
        self.model = Backbone(config, dtype, quant)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, dtype)
        self._one_row: OneRow | None = None

    @torch.inference_mode()
    def forward(self, step: Step, cache: Sequence[Tensor]) -> Tensor:
        """Logits [wanted rows, vocabulary]; `cache` has a [slots, width] per KV layer, written to."""
        if self._one_row is not None and len(step.tokens) == 1 and len(step.wanted) == 1:
            turns = self._rotation.at(step.layout.positions, step.layout.longest)
            return self._one_row(*self._embeddings(step), turns, step.layout, cache)
        hidden = self.hidden(step, cache)
        wanted = hidden.index_select(0, step.wanted.to(hidden.device))
        norm = self.model.norm
        logits: Tensor = self.lm_head(norm(wanted.to(norm.weight.device)))
        return logits

    @torch.inference_mode()
    def hidden(self, step: Step, cache: Sequence[Tensor]) -> Tensor:
        """[T, H] before the final norm."""
        x, layout = self.embed(step), step.layout
        turns = None
        for i, layer in enumerate(self.layers):
            device = layer.device
            if turns is None or x.device != device:
                layout = layout.to(device)
                x = x.to(device)
                turns = self._rotation.at(layout.positions, layout.longest)
            x = layer(x, turns, layout, (cache[2 * i], cache[2 * i + 1]))
        return x

    @torch.inference_mode()
    def embed(self, step: Step) -> Tensor:
        """[T, H]: words fused with the n-grams that end in them."""
        words, rows = self._embeddings(step)
        fused: Tensor = self.model.ngram_embeddings(words, rows)
        return fused

    def _embeddings(self, step: Step) -> tuple[Tensor, Tensor]:
        """Words [T, H] and the rows of their n-grams [T, tables, d]."""
        if self.tables is None:
            raise RuntimeError("the n-gram tables are not loaded; use loader.load or loader.random_model")
        words = self.model.embed_tokens(step.tokens.to(self.embedding_device))
        rows = [self.tables.gather(ids) for ids in step.ngram_ids]
        together = rows[0] if len(rows) == 1 else torch.cat(rows)
        return words, together.to(words.dtype)

    @property
    def layers(self) -> "list[ScMoELayer]":
        """The logical layers in their order."""
        return list(self.model.layers)  # type: ignore[arg-type]

    @property
    def embedding_device(self) -> torch.device:
        """Where the word embedding lies."""
        return self.model.embed_tokens.weight.device

    @property
    def has_one_row(self) -> bool:
        """Whether steps of one token have weights of their own (`one_row.py`)."""
        return self._one_row is not None

    def new_cache(self, slots: int) -> list[Tensor]:
        """Room for the latents of `slots` tokens, each KV layer where its layer lies."""
        return [
            torch.zeros(slots, self.config.kv_width, dtype=self.dtype, device=layer.device)
            for layer in self.layers
            for _ in range(2)
        ]

    def pack(self) -> None:
        """Bring what lies on a CPU into the forms that are fast there; the plain weights are gone then."""
        if self._one_row is None and has_rows_to_spare(self, TWICE_BELOW):
            self._one_row = OneRow(self)
        paged = {part for i in self.on_disk for part in self.layers[i].modules()}
        for part in list(self.modules()):
            if isinstance(part, PACKS) and part not in paged:
                part.pack()

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits [T, vocabulary] of a whole text at once; for tests and for looking at the model."""
        piece = Piece(tokens, 0, [0], (), "all")
        step = Step.of([piece], self.hasher, page_size=len(tokens))
        result: Tensor = self(step, self.new_cache(len(tokens)))
        return result

    def use_kernel(self, kernel: Kernel) -> None:
        """Have every layer's experts computed by one kernel."""
        self._one_row = None
        for part in self.modules():
            if isinstance(part, Experts):
                part.kernel = kernel
