"""A headless Chromium, driven over its debugging socket and waited for, never slept for."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-port=0"
)
DEADLINE = 60.0


class Tab:
    """One tab: `events` collects what the page logged, threw, or was refused."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.sent = 0
        self.loaded = False
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self.sent += 1
        await self.socket.send_json({"id": self.sent, "method": method, "params": parameters})
        while True:
            message = await self._receive()
            if message.get("id") == self.sent:
                assert "error" not in message, message
                return dict(message["result"])
            self._take(message)

    async def _receive(self) -> dict[str, Any]:
        return dict(json.loads((await self.socket.receive()).data))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.events.append(message)
        self.loaded = self.loaded or message.get("method") == "Page.loadEventFired"

    async def value(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        wait = (
            "new Promise((done) => { const look = () => "
            f"({expression}) ? done() : setTimeout(look, 30); look(); }})"
        )
        async with asyncio.timeout(DEADLINE):
            await self.value(wait)

    async def open(self, url: str) -> None:
        """Load a page."""
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(DEADLINE):
            while not self.loaded:
                self._take(await self._receive())
        self.loaded = False

    async def html(self) -> str:
        """The document as it is, as HTML."""
        return str(await self.value("document.documentElement.outerHTML"))


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Tab]:
    """A browser with an empty tab; it ends with the block."""
    assert BROWSER is not None
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *OPTIONS.split(),
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        port = await _port(process)
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as reply:
                address = (await reply.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await tab.call(f"{domain}.enable")
                yield tab
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        async for line in process.stderr:
            if found := re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line):
                return int(found[1])
    raise AssertionError("the browser ended before it listened")
