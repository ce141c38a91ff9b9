"""`longcat-eval images`: what images a benchmark wants, and getting them within a disk budget."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from longcat_eval.cli.arguments import DataDir
from longcat_eval.cli.sandbox import gib, span
from longcat_eval.errors import ExitCode, UsageError
from longcat_eval.protocols import DataOptions

if TYPE_CHECKING:
    from docker.api import APIClient

images_app = typer.Typer(no_args_is_help=True, help="Container images of benchmarks.")

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {f"{letter}I": 1 << shift for letter, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40))}
SPARE_BYTES = 20 << 30
"""What stays free on the disk where no budget is given."""
ANONYMOUS_PULLS, ANONYMOUS_HOURS = 100, 6
"""Docker Hub's limit for pulls without a login."""

Names = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE…]", help="Image names.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", "-t", help="All images of this benchmark.")]
SampleIds = Annotated[list[str] | None, typer.Option("--sample-id", help="Only this sample's.")]
TaskFolder = Annotated[Path | None, typer.Option(help="TerminalBench: a folder of tasks.")]
BudgetText = Annotated[
    str | None,
    typer.Option(help="All images of the daemon together, such as 200GB; default: 20 GiB stay free."),
]


class Wanted(NamedTuple):
    """The images asked for, here and not here."""

    here: list[str]
    missing: list[str]


@images_app.command("ls")
def list_images() -> None:
    """List the images that longcat-eval pulled or built, in the order they are evicted in."""
    from longcat_eval.runners.sandbox.daemon import connect
    from longcat_eval.runners.sandbox.image_store import daemon_id, image_bytes, read_ledger

    with connect() as client:
        known = read_ledger().get(daemon_id(client.api), {})
        for name in sorted(known, key=lambda n: known[n].used):
            size = image_bytes(client.api, name)
            what = "gone" if size is None else gib(size)
            typer.echo(f"{name}  {what}, last used {span(time.time() - known[name].used)} ago")
    typer.echo(f"{len(known)} images pulled or built by longcat-eval")


@images_app.command("df")
def show_disk() -> None:
    """Show what all images take on the daemon's disk, shared layers once, and what is free."""
    from longcat_eval.runners.sandbox.daemon import connect, read_facts
    from longcat_eval.runners.sandbox.image_store import layer_bytes

    with connect() as client:
        free = read_facts(client).free_bytes
        taken = layer_bytes(client.api)
    typer.echo(f"images: {gib(taken)}, free: {'unknown' if free is None else gib(free)}")


@images_app.command("plan")
def plan(
    names: Names = None,
    task: Tasks = None,
    sample_id: SampleIds = None,
    data_dir: DataDir = None,
    dataset: TaskFolder = None,
    disk_budget: BudgetText = None,
) -> None:
    """Say which images are here, which would be pulled, and within what disk budget; pulls nothing."""
    from longcat_eval.runners.sandbox.daemon import connect

    asked, limit = (
        wanted_names(names, task, sample_id, DataOptions(data_dir, dataset=dataset)),
        parse_bytes(disk_budget) if disk_budget else None,
    )
    with connect() as client:
        wanted = look(client.api, asked)
        budget, taken = budget_of(client.api, limit)
    for name in wanted.missing:
        typer.echo(f"missing  {name}")
    room = "no limit known" if budget is None else gib(budget)
    typer.echo(f"{len(wanted.here)} here, {len(wanted.missing)} to pull; images take {gib(taken)} of {room}")
    if len(wanted.missing) > ANONYMOUS_PULLS:
        hours = (len(wanted.missing) - 1) // ANONYMOUS_PULLS * ANONYMOUS_HOURS
        typer.echo(f"without a login at Docker Hub its limit of pulls makes that at least {hours} hours")


@images_app.command("pull")
def pull(
    names: Names = None,
    task: Tasks = None,
    sample_id: SampleIds = None,
    data_dir: DataDir = None,
    dataset: TaskFolder = None,
    disk_budget: BudgetText = None,
    pause: Annotated[float, typer.Option(help="Seconds between two pulls.")] = 0.0,
) -> None:
    """Pull what is missing, one by one; waits out a registry's rate limit, evicts old images of its own."""
    from longcat_eval.protocols import SandboxError
    from longcat_eval.runners.sandbox.daemon import connect, translated
    from longcat_eval.runners.sandbox.image_store import ImageStore

    pulled = failed = 0
    asked, limit = (
        wanted_names(names, task, sample_id, DataOptions(data_dir, dataset=dataset)),
        parse_bytes(disk_budget) if disk_budget else None,
    )
    with connect() as client:
        wanted = look(client.api, asked)
        budget, _ = budget_of(client.api, limit)
        store = ImageStore(budget, say=typer.echo)
        for number, name in enumerate(wanted.missing, 1):
            try:
                translated(store.ensure, client.api, name)
                pulled += 1
                typer.echo(f"ok    {number}/{len(wanted.missing)}  {name}")
            except SandboxError as error:
                failed += 1
                typer.echo(f"fail  {number}/{len(wanted.missing)}  {error}")
                if error.reason in ("disk_full", "daemon_lost"):
                    break
            time.sleep(pause if number < len(wanted.missing) else 0)
    typer.echo(f"{len(wanted.here)} were here, {pulled} pulled, {failed} failed")
    raise typer.Exit(ExitCode.ENVIRONMENT if failed else ExitCode.OK)


@images_app.command("prune")
def prune(
    disk_budget: Annotated[str, typer.Argument(help="What all images may take together, such as 50GB.")],
) -> None:
    """Remove images that longcat-eval pulled or built, least recently used first, until the budget holds."""
    from longcat_eval.protocols import SandboxError
    from longcat_eval.runners.sandbox.daemon import connect, translated
    from longcat_eval.runners.sandbox.image_store import ImageStore

    store = ImageStore(parse_bytes(disk_budget), say=typer.echo)
    with connect() as client:
        try:
            removed = translated(store.make_room, client.api)
        except SandboxError as error:
            typer.echo(str(error))
            raise typer.Exit(ExitCode.ENVIRONMENT) from None
    typer.echo(f"removed: {len(removed)}")


@images_app.command("build")
def build(
    from_host: Annotated[
        bool, typer.Option("--from-host", help="A base image of this host's own Debian packages.")
    ] = False,
    package: Annotated[list[str] | None, typer.Option(help="A further package of the host.")] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="The image of samples of this.")] = None,
    sample_id: SampleIds = None,
    data_dir: DataDir = None,
    dataset: TaskFolder = None,
    base_image_map: Annotated[
        list[str] | None,
        typer.Option(help="FROM=TO: another base for images of TerminalBench, PRDBench."),
    ] = None,
    stand_in: Annotated[
        list[str] | None,
        typer.Option(help="A stand-in for base images: debian-12, or python-3.13 and the like."),
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="Prefix of the CPython for --stand-in; default: pyenv's.")
    ] = None,
    light: Annotated[
        bool,
        typer.Option(
            "--light",
            help="The stand-in without compiler, pip and asciinema; PRDBench's image with pytest alone.",
        ),
    ] = False,
) -> None:
    """Build an image without any registry: a base, a stand-in, or a sample's environment from PyPI on one."""
    if task == "terminal-bench":
        from longcat_eval.cli.terminal_images import build_terminal_images

        raise typer.Exit(build_terminal_images(sample_id or [], data_dir, dataset, base_image_map or []))
    if task == "prdbench":
        from longcat_eval.cli.prdbench_images import build_prdbench_image

        raise typer.Exit(build_prdbench_image(base_image_map or [], light=light))
    if task is not None:
        from longcat_eval.cli.swe_images import build_task_images

        raise typer.Exit(build_task_images(task, sample_id or [], data_dir))
    if stand_in:
        from longcat_eval.cli.stand_ins import build_stand_ins

        raise typer.Exit(build_stand_ins(stand_in, python, light=light))
    from longcat_eval.runners.sandbox.host_image import PACKAGES, build_host_image

    if not from_host:
        raise UsageError("say what to build: --from-host, --stand-in, or --task and --sample-id")
    typer.echo(build_host_image([*PACKAGES, *(package or [])]))


def parse_bytes(text: str) -> int:
    """`200GB`, `1.5 GiB`, `5000000`: bytes."""
    found = re.fullmatch(r"([\d.]+)\s*([KMGT]?I?)B?", text.strip().upper())
    if found is None or found[2] not in UNITS or found[1].count(".") > 1 or not found[1].strip("."):
        raise UsageError(f"{text!r} is no size: give one such as 200GB")
    return int(float(found[1]) * UNITS[found[2]])


def budget_of(api: "APIClient", asked: int | None) -> tuple[int | None, int]:
    """(the disk budget in bytes, what images take now); by default all that is free but a reserve."""
    from longcat_eval.runners.sandbox.daemon import free_under
    from longcat_eval.runners.sandbox.image_store import layer_bytes

    taken = layer_bytes(api)
    if asked is not None:
        return asked, taken
    free = free_under(api.info())
    return None if free is None else taken + max(0, free - SPARE_BYTES), taken


def look(api: "APIClient", names: list[str]) -> Wanted:
    """Which of these images are here."""
    from longcat_eval.runners.sandbox.image_store import present

    found = {name: present(api, name) for name in names}
    return Wanted([n for n in names if found[n]], [n for n in names if not found[n]])


def wanted_names(
    names: list[str] | None, tasks: list[str] | None, sample_ids: list[str] | None, options: DataOptions
) -> list[str]:
    """The images named, and those in the columns `image` and `images` of the tasks' samples."""
    from longcat_eval.tasks.table import load_task

    found = list(names or [])
    for task in tasks or []:
        samples = load_task(task).load(options).samples
        if sample_ids:
            samples = [sample for sample in samples if sample.id in sample_ids]
        images = [str(sample.fields["image"]) for sample in samples if sample.fields.get("image")]
        images += [str(image) for sample in samples for image in sample.fields.get("images", ())]
        if not images:
            raise UsageError(f"{task} names no image" + (" for these samples" if sample_ids else ""))
        found += images
    if not found:
        raise UsageError("say which images: names, or --task")
    return list(dict.fromkeys(found))
