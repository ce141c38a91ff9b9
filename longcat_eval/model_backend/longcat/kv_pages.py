"""Pages of the KV cache: who holds them, and which hold a known prefix.

A page is full of tokens of one text; texts with the same beginning share its pages. A page that nobody holds
keeps its tokens until it is needed, so a prompt that comes again is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ROOT = 0


@dataclass(frozen=True)
class Known:
    """What a page holds: the prefix before it, by its number, and its own tokens; and the number of both."""

    parent: int
    tokens: tuple[int, ...]
    number: int


class OutOfPagesError(Exception):
    """No page is free; somebody has to give some back."""


class PagePool:
    """Numbers of pages 0 to `pages` - 1, counted by holder."""

    def __init__(self, pages: int, page_size: int) -> None:
        self.pages, self.page_size = pages, page_size
        self._holders = [0] * pages
        self._empty: dict[int, None] = dict.fromkeys(
            range(pages - 1, -1, -1)
        )  # lowest page last: taken first
        self._idle: dict[int, None] = {}  # held by nobody and known, the longest idle first
        self._known: dict[int, Known] = {}
        self._by_content: dict[tuple[int, tuple[int, ...]], int] = {}
        self._last_number = ROOT

    @property
    def free(self) -> int:
        """Pages that can be taken."""
        return len(self._empty) + len(self._idle)

    def take(self, after: int | None = None) -> int:
        """A page for a new holder, if possible the one that follows `after`; raises `OutOfPagesError`."""
        if after is not None and after + 1 in self._empty:
            page = after + 1
            del self._empty[page]
        elif self._empty:
            page, _ = self._empty.popitem()
        elif self._idle:
            page = next(iter(self._idle))
            del self._idle[page]
            self._forget(page)
        else:
            raise OutOfPagesError
        self._holders[page] = 1
        return page

    def share(self, page: int) -> None:
        """One holder more."""
        if not self._holders[page]:
            del self._idle[page]
        self._holders[page] += 1

    def release(self, page: int) -> None:
        """One holder less."""
        self._holders[page] -= 1
        if not self._holders[page]:
            (self._idle if page in self._known else self._empty)[page] = None

    def is_writable(self, page: int) -> bool:
        """Whether its only holder may change it: what is shared or known may not change."""
        return self._holders[page] == 1 and page not in self._known

    def know(self, page: int, parent: int, tokens: Sequence[int]) -> int:
        """Make a full page findable; the number of the prefix that ends with it."""
        content = (parent, tuple(tokens))
        twin = self._by_content.get(content)
        if twin is not None:
            return self._known[twin].number
        self._last_number += 1
        self._known[page] = Known(parent, content[1], self._last_number)
        self._by_content[content] = page
        return self._last_number

    def find(self, parent: int, tokens: Sequence[int]) -> tuple[int, int] | None:
        """The page that holds these tokens after that prefix, and the number of the prefix up to its end."""
        page = self._by_content.get((parent, tuple(tokens)))
        return None if page is None else (page, self._known[page].number)

    def _forget(self, page: int) -> None:
        known = self._known.pop(page)
        del self._by_content[(known.parent, known.tokens)]
