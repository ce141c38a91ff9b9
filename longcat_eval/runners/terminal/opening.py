"""How a terminal in a sandbox opens: its first line tells the process on it."""

import asyncio

from longcat_eval.protocols import SandboxError, SandboxStream
from longcat_eval.runners.terminal.jobs import Process, read_process

OPEN_SECONDS = 60.0


async def first_line(stream: SandboxStream) -> tuple[Process, bytes]:
    """Return the process on the terminal, and what came after its line.

    Raises `SandboxError`: exec_stuck, or image_unusable with what the image said instead.
    """
    said = b""
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            while b"\n" not in said and (data := await stream.read()):
                said += data
    except TimeoutError:
        raise SandboxError("exec_stuck", f"no terminal opens within {OPEN_SECONDS:g} s") from None
    line, _, rest = said.partition(b"\n")
    process = read_process(line.decode("utf-8", "replace"))
    if process is None or not process.tty:
        raise SandboxError("image_unusable", f"no terminal opens: {said.decode('utf-8', 'replace').strip()}")
    return process, rest
