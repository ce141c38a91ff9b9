"""The official openai SDK as a transport: its connections, our body, retries and limits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.model_backend.transport import Answer, TransportError, environment_proxy, transport_error

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAITransport:
    """`AsyncOpenAI` with its own retries off; `client.post(content=...)` sends our bytes unchanged."""

    def __init__(self, base_url: str, headers: Mapping[str, Secret]) -> None:
        self._client = open_client(base_url, headers)
        self._keyless = not any(name.lower() == "authorization" for name in headers)

    async def post(self, path: str, body: bytes, timeout: float) -> Answer:
        """POST JSON bytes exactly as given; raises `TransportError`."""
        return await self._send("POST", path, timeout, content=body)

    async def get(self, path: str, timeout: float) -> Answer:
        """GET a path; raises `TransportError`."""
        return await self._send("GET", path, timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _send(self, method: str, path: str, timeout: float, **options: Any) -> Answer:
        import asyncio

        import openai

        call = self._client.post if method == "POST" else self._client.get
        headers: dict[str, Any] = {"X-Stainless-Raw-Response": "raw"}
        if self._keyless:
            headers["Authorization"] = openai.Omit()
        settings: Any = {"headers": headers, "follow_redirects": False, "timeout": timeout}
        try:
            # The SDK's own timeout starts anew with every chunk that arrives; ours covers the whole exchange.
            async with asyncio.timeout(timeout):
                raw: Any = await call(path, cast_to=bytes, options=settings, **options)
        except openai.APIStatusError as error:
            return Answer(error.response.status_code, error.response.headers, error.response.content)
        except (openai.APIConnectionError, TimeoutError) as error:
            raise connection_error(error) from None
        return Answer(raw.status_code, raw.http_response.headers, raw.http_response.content)


def open_client(base_url: str, headers: Mapping[str, Secret]) -> "AsyncOpenAI":
    """Return an SDK client that sends our `headers` and takes no key or address from the environment."""
    try:
        import openai
    except ImportError:
        raise EnvironmentUnusableError(
            "--transport openai needs the SDK: pip install 'longcat-eval[openai]'"
        ) from None
    url = urlsplit(base_url)
    sent: dict[str, Any] = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    sent |= {name: value.reveal() for name, value in headers.items()}
    return openai.AsyncOpenAI(
        api_key="unused",
        base_url=urlunsplit((url.scheme, url.netloc, url.path, "", "")),
        default_query=dict(parse_qsl(url.query)),
        default_headers=sent,
        max_retries=0,
        http_client=open_http_client(environment_proxy(base_url)),
    )


def open_http_client(proxy: str | None) -> Any:
    """Return the SDK's client on aiohttp, a third of the CPU per request, else its default one."""
    import ssl

    import openai

    settings: dict[str, Any] = {"proxy": proxy, "trust_env": False, "verify": ssl.create_default_context()}
    try:
        return openai.DefaultAioHttpClient(**settings)
    except RuntimeError:  # an SDK without its aiohttp part
        return openai.DefaultAsyncHttpxClient(**settings)


def connection_error(error: BaseException) -> TransportError:
    """Classify by what lies under an SDK error: its own classes call some lost connections timeouts."""
    import aiohttp

    if isinstance(error, TimeoutError):
        return TransportError("timeout", "no reply in time")
    under = [error]
    while under[-1].__cause__ is not None:
        under.append(under[-1].__cause__)
    for cause in under:
        if isinstance(cause, aiohttp.ClientError):
            return transport_error(cause)
    names = {type(cause).__name__ for cause in under}
    said = str(under[-1]) or type(under[-1]).__name__
    if names & {"ConnectError", "ConnectTimeout", "ProxyError"}:
        return TransportError("tls" if "SSL" in said and "EOF" not in said else "connect", said)
    if names & {"ReadTimeout", "WriteTimeout", "PoolTimeout"}:
        return TransportError("timeout", "no reply in time")
    return TransportError("cut", said)
