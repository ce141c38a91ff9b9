"""A log that was written inside a sandbox, fetched whole, or without its middle where it is too long."""

from longcat_eval.protocols import Sandbox

LOG_BYTES = 64 << 20
CUT_SECONDS = 60.0


async def read_log(sandbox: Sandbox, path: str, scratch: str, *, paused: bool = False) -> tuple[bytes, int]:
    """Return the log at `path` and how many bytes of its middle were left out; empty if there is none.

    `scratch` is a path that may be written where the log is longer than `LOG_BYTES`; to cut it there, a
    `paused` sandbox goes on.
    """
    try:
        return await sandbox.get(path, max_bytes=LOG_BYTES), 0
    except FileNotFoundError:
        return b"", 0
    except OSError:
        if paused:
            await sandbox.unpause()
        half = LOG_BYTES // 2 - 64
        cut = (
            f"{{ head -c {half} {path}; echo; echo '[log cut here]'; tail -c {half} {path}; }} >{scratch}; "
            f"stat -c %s {path}"
        )
        done = await sandbox.exec(cut, timeout=CUT_SECONDS, user="root")
        size = int(done.output.split()[-1]) if done.output.split() else 0
        return await sandbox.get(scratch, max_bytes=LOG_BYTES), max(0, size - 2 * half)
