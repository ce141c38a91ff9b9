"""The official openai SDK as a transport: its sign-in and connection handling, our body, retries and limits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.secrets import Secret
from longcat_eval.model_backend.transport import Answer, TransportError, environment_proxy

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAITransport:
    """`AsyncOpenAI` with its own retries off; `client.post(content=...)` sends our bytes unchanged."""

    def __init__(self, base_url: str, headers: Mapping[str, Secret]) -> None:
        self._base_url, self._headers = base_url, headers
        self._client = open_client(base_url, headers)

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
        settings: Any = {"headers": {"X-Stainless-Raw-Response": "raw"}, "follow_redirects": False}
        try:
            # The SDK's own timeout starts anew with every chunk that arrives; ours covers the whole exchange.
            async with asyncio.timeout(timeout):
                raw: Any = await call(path, cast_to=bytes, options=settings | {"timeout": timeout}, **options)
        except openai.APIStatusError as error:
            return Answer(error.response.status_code, error.response.headers, error.response.content)
        except (openai.APITimeoutError, TimeoutError):
            raise TransportError("timeout", "no reply in time") from None
        except openai.APIConnectionError as error:
            raise connection_error(error) from None
        return Answer(raw.status_code, raw.http_response.headers, raw.http_response.content)


def open_client(base_url: str, headers: Mapping[str, Secret]) -> "AsyncOpenAI":
    """Return an SDK client that sends exactly `headers` and takes neither key nor address from the environment."""
    try:
        import openai
    except ImportError:
        raise EnvironmentUnusableError(
            "--transport openai needs the SDK: pip install 'longcat-eval[openai]'"
        ) from None
    import ssl

    url = urlsplit(base_url)
    sent: dict[str, Any] = {"Authorization": openai.Omit()}
    sent |= {name.title() if name.lower() == "authorization" else name: s.reveal() for name, s in headers.items()}
    return openai.AsyncOpenAI(
        api_key="unused",
        organization="",
        project="",
        base_url=urlunsplit((url.scheme, url.netloc, url.path, "", "")),
        default_query=dict(parse_qsl(url.query)),
        default_headers=sent,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(
            proxy=environment_proxy(base_url), trust_env=False, verify=ssl.create_default_context()
        ),
    )


def connection_error(error: Exception) -> TransportError:
    """Classify an SDK connection error by what lies under it."""
    cause = error.__cause__ or error
    said = str(cause) or type(cause).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said or "WRONG_VERSION_NUMBER" in said:
        return TransportError("tls", said)
    if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "ProxyError"):
        return TransportError("connect", said)
    return TransportError("cut", said)
