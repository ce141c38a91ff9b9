"""A Hugging Face hub on loopback: as much of its protocol as huggingface_hub speaks to fetch a dataset."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_good_token"


@dataclass
class Repo:
    """A dataset repository: the files of each commit, and which commit `main` is."""

    main: str
    commits: dict[str, dict[str, bytes]]
    gated: bool = False


@dataclass
class FakeHub:
    """`seen` holds method, path and authorization of every request; `broken` is the status of every reply."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    broken: int = 0

    def add(
        self, name: str, files: dict[str, bytes], revision: str | None = None, gated: bool = False
    ) -> str:
        """Commit `files` to `main` of dataset `name`, as `revision` or an id made from the content."""
        sha = revision or hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        repo = self.repos.setdefault(name, Repo(sha, {}, gated))
        repo.commits[sha], repo.main = files, sha
        return sha


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve a hub until the block ends."""
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.state.seen.append((self.command, path, self.headers.get("authorization", "")))
        parts = path.removeprefix("api/").split("/")
        if self.state.broken or parts[0] != "datasets" or len(parts) < 3:
            return self._send(self.state.broken or 404)
        repo = self.state.repos.get(f"{parts[1]}/{parts[2]}")
        if repo is None:
            return self._send(404, code="RepoNotFound")
        sha = parts[4] if len(parts) > 4 else "main"
        sha = repo.main if sha == "main" else sha
        if sha not in repo.commits:
            return self._send(404, code="RevisionNotFound")
        if path.startswith("api/"):
            return self._describe(f"{parts[1]}/{parts[2]}", repo, sha, tree=parts[3:4] == ["tree"])
        return self._file(repo, sha, "/".join(parts[5:]))

    def _describe(self, name: str, repo: Repo, sha: str, tree: bool) -> None:
        files = repo.commits[sha]
        described: Any = {
            "id": name,
            "sha": sha,
            "private": False,
            "gated": "auto" if repo.gated else False,
            "downloads": 0,
            "tags": [],
            "siblings": [{"rfilename": file} for file in files],
        }
        if tree:
            described = [
                {"type": "file", "path": file, "size": len(content), "oid": _oid(content)}
                for file, content in files.items()
            ]
        self._send(200, json.dumps(described).encode(), {"Content-Type": "application/json"})

    def _file(self, repo: Repo, sha: str, name: str) -> None:
        if repo.gated and self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._send(403 if self.headers.get("authorization") else 401, code="GatedRepo")
        content = repo.commits[sha].get(name)
        if content is None:
            return self._send(404, code="EntryNotFound")
        return self._send(200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": sha})

    def _send(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, code: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), **({"X-Error-Code": code} if code else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _oid(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
