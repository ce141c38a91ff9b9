"""`longcat-eval sandbox`: the containers that longcat-eval started on this Docker daemon."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from longcat_eval.cli.terminal import visible

if TYPE_CHECKING:
    from longcat_eval.runners.sandbox.reaper import Found

sandbox_app = typer.Typer(no_args_is_help=True, help="Sandboxes on the Docker daemon.")
GIB = 1 << 30
MIB = 1 << 20


@sandbox_app.command("ls")
def list_sandboxes() -> None:
    """List every sandbox on the Docker daemon, whose it is and how long it may live."""
    from longcat_eval.runners.sandbox.daemon import connect, translated
    from longcat_eval.runners.sandbox.networks import find_belongings
    from longcat_eval.runners.sandbox.reaper import abandoned_belongings, find_sandboxes

    with connect() as client:
        _print(translated(find_sandboxes, client.api), size=False)
        belongings = translated(find_belongings, client.api)
        left = translated(abandoned_belongings, client.api)
    if belongings:
        typer.echo(f"{len(belongings)} networks and volumes of theirs, {len(left)} of them abandoned")


@sandbox_app.command("df")
def show_disk() -> None:
    """Show what each sandbox has written, and the free disk."""
    from longcat_eval.runners.sandbox.daemon import connect, read_facts, translated
    from longcat_eval.runners.sandbox.reaper import find_sandboxes

    with connect() as client:
        _print(translated(find_sandboxes, client.api, size=True), size=True)
        free = read_facts(client).free_bytes
    typer.echo("free disk: unknown, the daemon is elsewhere" if free is None else f"free disk: {gib(free)}")


@sandbox_app.command("reap")
def reap_sandboxes(
    run: Annotated[
        str | None, typer.Option(help="All sandboxes of this run (see `ls`), even if it lives.")
    ] = None,
) -> None:
    """Remove the sandboxes whose owner is dead or whose deadline passed; every run does so at its start."""
    from longcat_eval.runners.sandbox.daemon import connect, translated
    from longcat_eval.runners.sandbox.reaper import reap, remove_run

    with connect() as client:
        if run is not None:
            typer.echo(f"removed: {translated(remove_run, client.api, run)}")
            return
        dead = translated(reap, client.api)
    for found in dead:
        typer.echo(f"{found.id[:12]}  {visible(found.name or found.image)}: {found.why}")
    typer.echo(f"removed: {len(dead)}")


def gib(size: float) -> str:
    """A size for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def span(seconds: float) -> str:
    """A time span for people."""
    minutes = int(max(0.0, seconds) // 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _print(found: "list[Found]", *, size: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    now = time.time()
    table = Table(box=None, pad_edge=False)
    for column in ("container", "run", "kind", "for", "state", "age", "left", "owner", "image"):
        table.add_column(column)
    if size:
        table.add_column("written", justify="right")
    for one in found:
        cells = [one.id[:12], one.run, one.kind, visible(one.name), one.state, span(now - one.created)]
        cells += [span(one.deadline - now), one.why or "alive or not of this machine", one.image]
        table.add_row(*cells, *([gib(one.bytes or 0)] if size else []))
    if found:
        Console().print(table)
    typer.echo(f"{len(found)} sandboxes, {sum(bool(one.why) for one in found)} of them abandoned")
