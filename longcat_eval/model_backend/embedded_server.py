"""The embedded model's server process: llama.cpp's own HTTP server on loopback, through xllamacpp.

    python -m longcat_eval.model_backend.embedded_server --model FILE.gguf --port 0 --slots 4

Prints its address on stdout once the model is loaded (everything llama.cpp says goes to stderr), and lives
until stdin is closed: when the process that started it dies, however it dies, so does this one.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

CONTEXT_PER_SLOT = 8192
PR_SET_PDEATHSIG = 1
SIGKILL = 9


def parameters(options: argparse.Namespace) -> Any:
    """llama.cpp's parameters; `n_ctx` is shared by the slots, so each gets the context it was promised."""
    from xllamacpp import CommonParams

    given = CommonParams()
    given.model.path = str(options.model)
    given.model_alias = {options.alias or options.model.stem}
    given.hostnames, given.port = ["127.0.0.1"], options.port
    given.n_parallel, given.n_ctx = options.slots, options.slots * CONTEXT_PER_SLOT
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = options.threads
    given.n_gpu_layers = 0
    given.fit_params = given.warmup = given.ui = False
    given.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    given.verbosity = 1
    return given


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the closed stdin has to do."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description="Serve a GGUF file on loopback.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--alias", help="the model's name on the wire; default: the file's name")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--slots", type=int, default=4, help="requests computed side by side")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    die_with_parent()
    address = os.dup(1)
    os.dup2(2, 1)

    from xllamacpp import Server

    server = Server(parameters(options))
    os.write(address, f"{server.listening_address}\n".encode())
    os.close(address)
    sys.stdin.buffer.read()
    os._exit(0)  # llama.cpp's threads are not to be waited for


if __name__ == "__main__":
    main()
