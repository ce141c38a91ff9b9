"""What a browser would find in a page, by the standard library's parser."""

import base64
import json
import zlib
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """Elements with their attributes, the text of scripts and styles, and all other text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.text = ""
        self._open: tuple[str, dict[str, str | None]] | None = None
        self._said = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open, self._said = (tag, dict(attrs)), ""

    def handle_endtag(self, tag: str) -> None:
        if self._open is not None and tag == self._open[0]:
            self.raw.append((*self._open, self._said))
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._said += data
        else:
            self.text += data

    def packed(self, id: str) -> Any:
        """The JSON in the element with this id."""
        (text,) = (text for _, attrs, text in self.raw if attrs.get("id") == id)
        return json.loads(zlib.decompress(base64.b64decode(text)))
