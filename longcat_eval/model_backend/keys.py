"""Which API key goes to which endpoint: a key is sent only to the host it was configured for."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.secrets import Secret

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_BASE = "OPENAI_BASE_URL"

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEY_PREFIXES = ("sk-", "sk_", "hf_", "gsk_", "AIza", "xai-", "ghp_")
LONGEST_PLAIN_NAME = 20


class ChosenKey(NamedTuple):
    """The key for an endpoint, where it came from, and what the user should know about it."""

    key: Secret | None
    origin: str
    note: str = ""


class KeyOwner(NamedTuple):
    """A variable and the address its key was made for."""

    variable: str
    base_url: str


def choose_key(
    base_url: str, variable: str | None, owners: tuple[KeyOwner, ...], env: Mapping[str, str], flag: str
) -> ChosenKey:
    """Return the key for an address: from the variable the user names, else from its owner's.

    `flag` is the option that names a variable. Raises `UsageError` for a key given in place of a name and
    `EnvironmentUnusableError` for a variable that is not set where a key is needed.
    """
    if variable is not None:
        return named_key(variable, env, flag)
    for owner in owners:
        if same_origin(base_url, owner.base_url):
            value = env.get(owner.variable, "").strip()
            if value:
                return ChosenKey(Secret(value), f"env {owner.variable}")
            if needs_key(base_url):
                host = urlsplit(base_url).hostname
                raise EnvironmentUnusableError(
                    f"{host} wants a key: set {owner.variable}, or give {with_value(flag, 'NAME')}"
                )
            return ChosenKey(None, "none")
    kept = next((owner for owner in owners if env.get(owner.variable, "").strip()), None)
    if kept is None:
        return ChosenKey(None, "none")
    host, home = urlsplit(base_url).netloc.rpartition("@")[2], urlsplit(kept.base_url).hostname
    note = f"no key is sent to {host}: {kept.variable} is for {home}; name one with {flag} if it wants a key"
    return ChosenKey(None, "none", note)


def with_value(flag: str, value: str) -> str:
    """A flag as it is typed with its value; a setting of a role (`--role judge.base_url`) takes it by `=`."""
    return f"{flag}{'=' if ' ' in flag else ' '}{value}"


def named_key(variable: str, env: Mapping[str, str], flag: str) -> ChosenKey:
    """Read the variable the user names; never repeats a text that may be a key itself."""
    if looks_like_key(variable):
        raise UsageError(f"{flag} wants the name of an environment variable, and got what looks like a key")
    value = env.get(variable, "").strip()
    if not value:
        state = "empty" if variable in env else "not set"
        raise EnvironmentUnusableError(f"{flag}: the environment variable {variable} is {state}")
    return ChosenKey(Secret(value), f"env {variable}")


def looks_like_key(text: str) -> bool:
    """Whether a text is no variable name, or one that nobody would choose."""
    if not VARIABLE.fullmatch(text) or text.startswith(KEY_PREFIXES):
        return True
    if len(text) <= LONGEST_PLAIN_NAME or not any(c.isdigit() for c in text):
        return False
    return "_" not in text or text not in (text.upper(), text.lower())


def needs_key(base_url: str) -> bool:
    """Whether the endpoint answers nobody without a key: the makers' own public ones."""
    return (urlsplit(base_url).hostname or "").endswith((".openai.com", ".googleapis.com"))


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have the same scheme, host and port."""
    return origin(one) == origin(other)


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address."""
    url = urlsplit(address)
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)
