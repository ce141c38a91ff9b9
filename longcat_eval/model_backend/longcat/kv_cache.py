"""The paged latent cache, and each sequence's share of it with its N-gram Cache.

A token takes one latent and one roped key per KV layer (1/17.8 of the keys and values of all heads at the
model's shape). The N-gram Cache, three ids, forks, rolls back, is dropped and is built again with the pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.kv_pages import ROOT, PagePool
from longcat_eval.model_backend.longcat.ngram_context import NgramContext

if TYPE_CHECKING:
    import torch

    from longcat_eval.model_backend.longcat.model import LongcatLite


class PagedCache:
    """The pages' contents, a [pages * page_size, width] per KV layer, and who holds them."""

    def __init__(self, model: "LongcatLite", tokens: int, page_size: int) -> None:
        pages = max(1, -(-tokens // page_size))
        self.config: LiteConfig = model.config
        self.pool = PagePool(pages, page_size)
        self.layers: list[torch.Tensor] = model.new_cache(pages * page_size)

    @property
    def bytes_per_token(self) -> int:
        """Of all KV layers together."""
        return sum(layer.shape[1] * layer.element_size() for layer in self.layers)

    def copy(self, source: int, target: int) -> None:
        """One page's content to another."""
        size = self.pool.page_size
        for layer in self.layers:
            layer[target * size : (target + 1) * size] = layer[source * size : (source + 1) * size]

    def begin(self, tokens: Sequence[int], share: bool = True) -> "SequenceCache":
        """An empty share for a new sequence, or one that already has the full pages its tokens begin with.

        At least the last token is left to compute, because somebody wants its logits.
        """
        found = SequenceCache(self, NgramContext.empty(self.config))
        size, number = self.pool.page_size, ROOT
        while share and found.length + size < len(tokens):
            page = self.pool.find(number, tokens[found.length : found.length + size])
            if page is None:
                break
            self.pool.share(page[0])
            found.pages.append(page[0])
            number = page[1]
            found.prefixes.append(number)
            found.length += size
        found.ngrams.rollback_to(tokens[: found.length])
        return found


@dataclass
class SequenceCache:
    """One sequence's pages, how many of its tokens they hold, and its N-gram Cache.

    `prefixes` are the numbers of the known prefixes that end with its full pages.
    """

    cache: PagedCache
    ngrams: NgramContext
    pages: list[int] = field(default_factory=list)
    length: int = 0
    prefixes: list[int] = field(default_factory=list)

    def reserve(self, length: int) -> None:
        """Have pages for so many tokens, the ones to be written its own; raises `OutOfPagesError`.

        What was taken before the error stays and is given back by `release`.
        """
        pool = self.cache.pool
        for i in range(self.length // pool.page_size, len(self.pages)):
            shared = self.pages[i]
            if not pool.is_writable(shared):
                self.pages[i] = pool.take()
                self.cache.copy(shared, self.pages[i])
                pool.release(shared)
        while len(self.pages) * pool.page_size < length:
            self.pages.append(pool.take(self.pages[-1] if self.pages else None))

    def commit(self, tokens: Sequence[int], length: int) -> None:
        """The first `length` of the sequence's tokens are computed; full pages become known."""
        pool = self.cache.pool
        size = pool.page_size
        self.ngrams.append(tokens[self.length : length])
        self.length = length
        while (len(self.prefixes) + 1) * size <= length:
            i = len(self.prefixes)
            parent = self.prefixes[-1] if self.prefixes else ROOT
            self.prefixes.append(pool.know(self.pages[i], parent, tokens[i * size : (i + 1) * size]))

    def fork(self) -> "SequenceCache":
        """A share that goes on from here on its own; pages are shared until one of the two writes."""
        for page in self.pages:
            self.cache.pool.share(page)
        return SequenceCache(
            self.cache, self.ngrams.fork(), list(self.pages), self.length, list(self.prefixes)
        )

    def rollback_to(self, tokens: Sequence[int]) -> None:
        """Hold exactly these tokens, a beginning of those it held: what came after them never was."""
        size = self.cache.pool.page_size
        self.length = len(tokens)
        keep = -(-self.length // size)
        for page in self.pages[keep:]:
            self.cache.pool.release(page)
        del self.pages[keep:], self.prefixes[self.length // size :]
        self.ngrams.rollback_to(tokens)

    def release(self) -> None:
        """Give every page back; known ones can be found until they are needed."""
        for page in reversed(self.pages):
            self.cache.pool.release(page)
        self.pages.clear()
        self.prefixes.clear()
        self.length = 0
        self.ngrams.rollback_to(())
