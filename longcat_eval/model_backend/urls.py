"""The address of an endpoint: what a user may type, and what is made of it."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.secrets import HIDDEN

AZURE_HOSTS = (".azure.com", ".azure.us", ".azure.cn")
CHAT_PATH = "/chat/completions"
TEXT_PATH = "/completions"
PUBLIC_QUERY = {"api-version"}


def check_base_url(base_url: str) -> str:
    """Return the base URL without a trailing slash or `/chat/completions`; its query string is kept.

    Raises `UsageError` for a missing scheme or host and for credentials inside the URL.
    """
    base_url = base_url.strip()
    shown = base_url.rpartition("@")[2].partition("?")[0]
    try:
        url = urlsplit(base_url)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or any(c.isspace() for c in base_url):
        raise UsageError(f"base URL {shown!r} is no http(s) address: write it like http://host:8000/v1")
    if url.username or url.password:
        raise UsageError(f"the base URL {shown!r} holds credentials: pass the key in an environment variable")
    path = url.path.rstrip("/").removesuffix(CHAT_PATH)
    return urlunsplit((url.scheme, url.netloc, path, url.query, ""))


@lru_cache(maxsize=64)
def endpoint_url(base_url: str, path: str) -> str:
    """Return the address of `path` (`/chat/completions`) below the base URL, before its query string."""
    url = urlsplit(base_url)
    return urlunsplit((url.scheme, url.netloc, url.path + path, url.query, ""))


def is_azure(base_url: str) -> bool:
    """Whether the host is Azure's, which takes the key in an `api-key` header."""
    return (urlsplit(base_url).hostname or "").endswith(AZURE_HOSTS)


def is_loopback(base_url: str) -> bool:
    """Whether the host is this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def identity(base_url: str) -> str:
    """Return the base URL as manifests and cache keys hold it: query values hidden, api-version kept."""
    url = urlsplit(base_url)
    pairs = [(k, v if k in PUBLIC_QUERY else HIDDEN) for k, v in parse_qsl(url.query, keep_blank_values=True)]
    return urlunsplit((url.scheme, url.netloc.lower(), url.path, urlencode(pairs, safe="*"), ""))


def hidden_values(base_url: str) -> list[str]:
    """Return the query values that `identity` hides."""
    return [value for name, value in parse_qsl(urlsplit(base_url).query) if name not in PUBLIC_QUERY]
