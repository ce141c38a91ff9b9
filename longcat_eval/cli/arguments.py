"""Options that several commands have: where data and checkouts of benchmarks are."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="LONGCAT_EVAL_DATA_DIR", show_envvar=False, help="Folder with one sub-folder per benchmark."
    ),
]
Tau2Src = Annotated[
    Path | None,
    typer.Option(
        envvar="LONGCAT_EVAL_TAU2_SRC",
        show_envvar=False,
        help="A checkout of tau2-bench to use instead of the fetched package.",
    ),
]
VitaSrc = Annotated[
    Path | None,
    typer.Option(
        envvar="LONGCAT_EVAL_VITA_SRC",
        show_envvar=False,
        help="A checkout of meituan-longcat/vitabench, which VitaBench is run from.",
    ),
]
