"""The server on a socket: loopback by default, and never open to a network without a key."""

import ipaddress
import socket

import uvicorn

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.longcat.server import Server

GRACE = 5  # seconds that open replies get at the end
BACKLOG = 2048


def check_host(host: str, *, has_key: bool) -> None:
    """Raise `UsageError` for an address that others could reach while no key is asked for."""
    if not has_key and not is_loopback(host):
        raise UsageError(
            f"--host {host} is open to the network: give --api-key-env NAME (the variable with the key that "
            "clients must send), or stay on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises `EnvironmentUnusableError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise EnvironmentUnusableError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; give another --port"
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """The base URL for clients."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def make_uvicorn(server: Server, *, log_level: str = "warning") -> uvicorn.Server:
    """uvicorn over the application; `run(sockets=[...])` serves until a signal or `should_exit`."""
    config = uvicorn.Config(
        server.app,
        log_level=log_level,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
    )
    return uvicorn.Server(config)
