"""Bytes to the endpoint and back: the protocol of a transport, and the default one on aiohttp."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.model_backend.urls import endpoint_url, is_loopback

if TYPE_CHECKING:
    import aiohttp

# Below the 5 s of uvicorn (vLLM, SGLang): a connection the server closes first costs a lost request.
KEEP_ALIVE = 4.0
CONNECT_TIMEOUT = 30.0


class Answer(NamedTuple):
    """An HTTP reply, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No HTTP reply: `kind` is connect, timeout, cut or tls, a row of `failures.FAILURES`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Transport(Protocol):
    """Sends a body to a path below the base URL; never retries, never follows a redirect with the key."""

    async def post(self, path: str, body: bytes, timeout: float) -> Answer:
        """POST JSON bytes exactly as given; `timeout` in seconds covers the whole exchange."""
        ...

    async def get(self, path: str, timeout: float) -> Answer:
        """GET a path."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class AiohttpTransport:
    """One aiohttp session: keep-alive, no cookies, no bound on connections (the limiter has it).

    `headers` are sent with every request and kept as secrets. Proxies come from HTTP_PROXY, HTTPS_PROXY and
    NO_PROXY. They are read once: aiohttp's own `trust_env` reads them, and ~/.netrc, again for every request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, Secret]) -> None:
        self._base_url, self._headers = base_url, headers
        self._proxy = environment_proxy(base_url)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes, timeout: float) -> Answer:
        """POST JSON bytes exactly as given; raises `TransportError`."""
        return await self._send("POST", path, body, timeout)

    async def get(self, path: str, timeout: float) -> Answer:
        """GET a path; raises `TransportError`."""
        return await self._send("GET", path, None, timeout)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _send(self, method: str, path: str, body: bytes | None, timeout: float) -> Answer:
        import aiohttp

        session = self._open()
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        try:
            async with session.request(
                method,
                endpoint_url(self._base_url, path),
                data=body,
                # Not the session's: aiohttp sends those to the proxy too, and the key with them.
                headers={name: value.reveal() for name, value in self._headers.items()},
                timeout=limits,
                proxy=self._proxy,
                allow_redirects=False,
            ) as reply:
                return Answer(reply.status, reply.headers, await reply.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # `from None`: the repr of some aiohttp errors carries the request's headers, and so the key.
            raise transport_error(error) from None


def transport_error(error: BaseException) -> TransportError:
    """Classify what aiohttp and the sockets raise."""
    import aiohttp

    if isinstance(error, aiohttp.ClientHttpProxyError):
        return TransportError("connect", f"the proxy refused: http {error.status} {error.message}")
    said = (str(error) or type(error).__name__).replace(" ssl:default", "")
    if isinstance(error, aiohttp.ClientSSLError) and "EOF" not in said:
        return TransportError("tls", said)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportError("connect", said)
    if isinstance(error, TimeoutError):
        return TransportError("timeout", "no reply in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportError("connect", said)
    return TransportError("cut", said)


def environment_proxy(base_url: str) -> str | None:
    """Return the proxy the environment names for this address; None for none, and always for loopback."""
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(base_url)
    if is_loopback(base_url) or proxy_bypass(url.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise EnvironmentUnusableError(
            f"the proxy for {url.hostname} is no http proxy:"
            f" set {url.scheme.upper()}_PROXY to an http:// address or add the host to NO_PROXY"
        )
    return proxy
