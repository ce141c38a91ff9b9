"""A container registry on loopback (Docker Registry HTTP API v2, reading), with a rate limit on demand."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIMITED = {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}
UNKNOWN = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}


class FakeRegistry:
    """`with FakeRegistry() as registry:`; the next `refuse` requests for manifests are answered with 429."""

    def __init__(self) -> None:
        self.refuse = 0
        self.requests: list[str] = []
        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[str, bytes] = {}

    def __enter__(self) -> "FakeRegistry":
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry._answer(self)

            def do_HEAD(self) -> None:
                registry._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """Its name in image names."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, size: int = 200_000) -> str:
        """Hold an image with one layer of random bytes; return its full name."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            entry = tarfile.TarInfo("content")
            entry.size = size
            tar.addfile(entry, io.BytesIO(os.urandom(size)))
        packed = gzip.compress(layer.getvalue(), 1)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/content"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
                "history": [{"created_by": "test"}],
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._hold(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self._hold(packed, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }
        self._manifests[name] = json.dumps(manifest).encode()
        return f"{self.host}/{name}:latest"

    def _hold(self, blob: bytes, media_type: str) -> dict[str, Any]:
        self._blobs[_digest(blob)] = blob
        return {"mediaType": media_type, "size": len(blob), "digest": _digest(blob)}

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(request.path)
        kind, _, last = request.path.rpartition("/")
        name = kind.removeprefix("/v2/").rpartition("/")[0]
        if kind.endswith("/manifests"):
            if self.refuse:
                self.refuse -= 1
                self._send(request, 429, json.dumps(LIMITED).encode(), "application/json")
            elif name in self._manifests:
                self._send(request, 200, self._manifests[name], MANIFEST)
            else:
                self._send(request, 404, json.dumps(UNKNOWN).encode(), "application/json")
        elif kind.endswith("/blobs") and last in self._blobs:
            self._send(request, 200, self._blobs[last], "application/octet-stream")
        else:
            self._send(request, 200, b"{}", "application/json")

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, media_type: str) -> None:
        request.send_response(status)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        request.send_header("Docker-Content-Digest", _digest(body))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
