import pytest

from longcat_eval.errors import UsageError
from longcat_eval.model_backend import urls

AZURE = "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("base", "chat"),
    [
        ("http://host:8000/v1", "http://host:8000/v1/chat/completions"),
        ("http://host:8000/v1/", "http://host:8000/v1/chat/completions"),
        (" http://host:8000/v1 ", "http://host:8000/v1/chat/completions"),
        ("https://host", "https://host/chat/completions"),
        ("http://host/v1/chat/completions", "http://host/v1/chat/completions"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
        (
            AZURE,
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_the_chat_address(base: str, chat: str) -> None:
    assert urls.endpoint_url(urls.check_base_url(base), urls.CHAT_PATH) == chat


@pytest.mark.parametrize(
    "base",
    ["localhost:8000/v1", "host/v1", "", "ftp://host/v1", "http://", "http://host:port/v1", "http://a b/v1"],
)
def test_what_is_no_address_is_a_usage_error(base: str) -> None:
    with pytest.raises(UsageError, match="write it like http://host:8000/v1"):
        urls.check_base_url(base)


@pytest.mark.parametrize("base", ["http://user:pa55word@host/v1", "user:pa55word@host/v1"])
def test_credentials_in_the_address_are_refused_and_not_shown(base: str) -> None:
    with pytest.raises(UsageError) as caught:
        urls.check_base_url(base)
    assert "pa55word" not in str(caught.value)


def test_only_azure_hosts_are_azure() -> None:
    assert urls.is_azure(AZURE)
    assert not urls.is_azure("https://azure.com.evil.example/v1")
    assert not urls.is_azure("http://localhost:8000/v1")


def test_identity_hides_query_values_but_not_the_api_version() -> None:
    base = "https://Host.example/v1?key=abcdef123&api-version=7"
    assert urls.identity(base) == "https://host.example/v1?key=***&api-version=7"
    assert urls.hidden_values(base) == ["abcdef123"]


@pytest.mark.parametrize(
    ("base", "here"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.0.0.2/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://example.com", False),
    ],
)
def test_loopback(base: str, here: bool) -> None:
    assert urls.is_loopback(base) is here
