"""`longcat-eval view`: the report in a browser, with every transcript read when it is opened.

It listens on loopback alone. Others on the machine cannot guess the address, which has a secret in it, and no
web page can reach it under another name.
"""

import asyncio
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from longcat_eval.errors import EnvironmentUnusableError, ExitCode, LongcatEvalError
from longcat_eval.reports.latest import latest_run

if TYPE_CHECKING:
    from aiohttp import web

    from longcat_eval.reports.html.live import LiveReport

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost", "::1")
"""What a browser on this machine, or behind an ssh tunnel to it, calls us; the port may be the tunnel's."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def view_runs(
    paths: list[Path], compare: str | None, allow_mixed: bool, port: int, open_browser: bool
) -> int:
    """Serve the report of `paths`, by default the latest run, until Ctrl-C; return the exit code."""
    from longcat_eval.cli.report import RUNS, load_table
    from longcat_eval.reports.html.live import LiveReport

    chosen = paths or [latest_run(RUNS)]
    report = LiveReport(lambda: load_table(chosen, compare, allow_mixed), chosen)
    report.page()  # what is wrong with a run is told here and not in the browser
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(report, port, open_browser))
    return ExitCode.OK


async def _serve(report: "LiveReport", port: int, open_browser: bool) -> None:
    from aiohttp import web

    secret = secrets.token_urlsafe(16)
    runner = web.AppRunner(make_app(report, secret), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        try:
            await site.start()
        except OSError as error:
            raise EnvironmentUnusableError(
                f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; take another --port, or 0 for any"
            ) from None
        address = f"http://{LOOPBACK}:{runner.addresses[0][1]}/{secret}/"
        sys.stdout.write(f"{address}\nreload the page to see a run grow; Ctrl-C ends\n")
        sys.stdout.flush()
        if open_browser:
            import webbrowser

            webbrowser.open(address)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def make_app(report: "LiveReport", secret: str) -> "web.Application":
    """The server: the page at `/SECRET/`, `attempt/GENERATION/NUMBER` and `search/GENERATION` below it."""
    from aiohttp import web

    from longcat_eval.reports.html.live import OutdatedError

    reading = asyncio.Lock()

    async def read(work: Any, *arguments: Any) -> Any:
        async with reading:  # one reader at a time, beside the loop
            return await asyncio.to_thread(work, *arguments)

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=await read(report.page), content_type="text/html", charset="utf-8")

    async def attempt(request: web.Request) -> web.Response:
        number = _number(request.match_info["number"])
        return web.json_response(await read(report.attempt, request.match_info["generation"], number))

    async def search(request: web.Request) -> web.Response:
        start, text = _number(request.query.get("from", "0")), request.query.get("text", "")
        found, following = await read(report.search, request.match_info["generation"], text, start)
        return web.json_response({"found": found, "next": following})

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse
        if urlsplit(f"//{request.host}").hostname not in NAMES:
            response = web.Response(status=403, text="this server is for the machine it runs on")
        elif not secrets.compare_digest(request.path.split("/")[1].encode(), secret.encode()):
            response = web.Response(status=404, text="the address that was printed has more to it")
        else:
            try:
                response = await handler(request)
            except OutdatedError as error:
                response = web.Response(status=409, text=str(error))
            except IndexError as error:
                response = web.Response(status=404, text=str(error))
            except LongcatEvalError as error:
                response = web.Response(status=500, text=str(error))
        response.headers.update(HEADERS)
        return response

    app = web.Application(middlewares=[guard])
    app.router.add_get(f"/{secret}/", page)
    app.router.add_get(f"/{secret}/attempt/{{generation}}/{{number}}", attempt)
    app.router.add_get(f"/{secret}/search/{{generation}}", search)
    return app


def _number(text: str) -> int:
    """A number of an attempt; whatever is none is no attempt."""
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise IndexError(f"{text!r} is no number of an attempt")
    return int(text)
