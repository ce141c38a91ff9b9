"""Keys and quotes, compared with the tmux of this machine."""

from collections.abc import Iterator
from itertools import chain, combinations

import pytest
from host_tmux import HostTmux, host_tmux
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longcat_eval.runners.terminal.keys import key_bytes, printable, quoted

NAMES = (
    *("Enter", "Tab", "Escape", "Space", "BSpace", "BTab", "Up", "Down", "Left", "Right", "Home", "End"),
    *("PPage", "PageUp", "PgUp", "NPage", "PageDown", "PgDn", "IC", "Insert", "DC", "Delete"),
    *(f"F{n}" for n in range(1, 13)),
    *("KP0", "KP5", "KP/", "KP*", "KP-", "KP+", "KP.", "KPEnter"),
    *("a", "z", "A", "Z", "[", "\\", "]", "^", "_", "@", "\u00e9", "\u4e2d"),
)
KNOWN, CHANGED = "3.3", {"Enter", "Tab", "Escape", "BSpace", "BTab", "KPEnter"}
MODIFIERS = ["", *map("".join, chain.from_iterable(combinations(["C-", "M-", "S-"], n) for n in (1, 2, 3)))]


@pytest.fixture(scope="module")
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostTmux]:
    server = host_tmux(tmp_path_factory.mktemp("tmux"))
    server.start_reader()
    yield server
    server("kill-server")


def as_we_type(key: str) -> bytes:
    known = key_bytes(key)
    return printable(key) if known is None else known


def compare(tmux: HostTmux, keys: list[str]) -> None:
    """All in one go, apart by a mark; for the first that differs the key and both are shown."""
    got = tmux.sent("\n".join(f"send-keys -- {quoted(key)}\nsend-keys -l '<next>'" for key in keys))
    theirs = got.split(b"<next>")[:-1]
    different = [(k, t, as_we_type(k)) for k, t in zip(keys, theirs, strict=True) if t != as_we_type(k)]
    assert not different


def test_names_with_modifiers_send_what_they_send_in_tmux(tmux: HostTmux) -> None:
    version = tmux("-V")
    keys = [m + n for m in MODIFIERS for n in NAMES if KNOWN in version or not _moved(m, n)]
    compare(tmux, keys)
    compare(tmux, [key.lower() for key in keys])


def _moved(modifiers: str, name: str) -> bool:
    """What tmux 3.4 and newer send otherwise."""
    return bool(modifiers) and (name in CHANGED or ("S-" in modifiers and len(name) == 1))


def test_short_control_and_hexadecimal_keys(tmux: HostTmux) -> None:
    compare(
        tmux, [*(f"^{c}" for c in "abcxyzABC["), "0x41", "0x1b", "0xe9", "0x4e2d", "0xZ", "^", "C-", "M-M-x"]
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.text(
                st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\0"), max_size=12
            ),
            st.text("CMScms-^x0aEnter\n;\"'\\$ ", max_size=8),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_text_is_typed_as_tmux_types_it(tmux: HostTmux, keys: list[str]) -> None:
    compare(tmux, [key for key in keys if key and not _odd(key)])


def _odd(key: str) -> bool:
    """Names that versions of tmux take differently; the other tests have those that they do not."""
    return key[:1] == "^" or key[1:2] == "-" or key[:2] == "0x"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_quotes_keep_every_byte(tmux: HostTmux, text: str) -> None:
    if content := printable(text):
        tmux.source(f"set-buffer -b t -- {quoted(text)}")
        path = tmux.folder / "buffer"
        tmux("save-buffer", "-b", "t", str(path))
        assert path.read_bytes() == content


@given(st.text())
def test_a_quoted_text_is_one_line_of_ascii(text: str) -> None:
    line = quoted(text)
    assert line.isascii()
    assert line.isprintable()
    assert line.count('"') == 2


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("C-c", b"\x03"),
        ("c-C", b"\x03"),
        ("^D", b"\x04"),
        ("C-[", b"\x1b"),
        ("C-Space", b"\0"),
        ("M-C-a", b"\x1b\x01"),
        ("C-Left", b"\x1b[1;5D"),
        ("C-M-S-F5", b"\x1b[15;8~"),
        ("enter", b"\r"),
        ("a-b", None),
        ("C-", None),
        ("C-S-a", None),
        ("hello", None),
        ("Enter\n", None),
        ("", None),
        ("\n", None),
        ("0xd800", None),
    ],
)
def test_names_and_what_is_none(key: str, expected: bytes | None) -> None:
    assert key_bytes(key) == expected


def test_arrows_in_application_mode() -> None:
    assert key_bytes("Up", application=True) == b"\x1bOA"
    assert key_bytes("C-Up", application=True) == b"\x1b[1;5A"
