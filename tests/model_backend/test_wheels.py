from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import download_wheel, pip_error


def test_pip_errors_lose_their_credentials() -> None:
    said = pip_error("WARNING: x\nERROR: Could not fetch https://user:pass-word@index.example/simple\n\n")
    assert said == "Could not fetch https://index.example/simple"
    assert pip_error("") == "no reason given"
    assert pip_error("/usr/bin/python: No module named pip\n") == "/usr/bin/python: No module named pip"


def test_what_cannot_be_downloaded_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvironmentUnusableError) as caught:
        download_wheel("no-such-wheel==1.0", "0" * 64, tmp_path, "do this")
    message = str(caught.value)
    assert message.startswith("pip cannot download no-such-wheel==1.0 (")
    assert message.endswith("; do this")
    assert "\n" not in message
