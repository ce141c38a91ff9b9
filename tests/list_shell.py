"""A shell made of a text; it needs nothing, because the peers' Python imports it too."""

ROWS = 40


class ListShell:
    """`seq N` prints numbers, `clear` empties the screen, `exit` ends it, all else prints nothing."""

    def __init__(self) -> None:
        self.text = "$"
        self.gone = False

    def type(self, keys: str) -> None:
        """Take keys; only whole lines do anything."""
        if self.gone:
            return
        *lines, rest = keys.split("\n")
        for line in lines:
            self.text += f" {line}\n"
            words = line.split()
            if words[:1] == ["seq"]:
                self.text += "".join(f"{number}\n" for number in range(int(words[1])))
            elif words[:1] == ["clear"]:
                self.text = ""
            elif words[:1] == ["exit"]:
                self.gone = True
            self.text += "$"
        self.text += rest

    def screen(self) -> str:
        """The last rows, blank ones after them."""
        return self._padded(self.text.split("\n")[-ROWS:])

    def history(self) -> str:
        """All rows."""
        return self._padded(self.text.split("\n"))

    def _padded(self, lines: list[str]) -> str:
        return "\n".join([*lines, *[""] * (ROWS - len(lines))]) + "\n"
