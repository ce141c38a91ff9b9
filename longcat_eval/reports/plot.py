"""`report --plot FILE`: scores with their intervals as a figure for a paper, by matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.reports.html.summary import Plot, plots
from longcat_eval.reports.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
PUBLISHED_GREY = "0.45"
SHAPES = "osD^vPX"
ROW, GAP, HEAD = 0.26, 0.9, 0.9
"""Inches per value, blank rows between benchmarks, and inches above and below."""


def check_plot(path: Path) -> None:
    """`UsageError` for a suffix that is no format, `EnvironmentUnusableError` without matplotlib."""
    from importlib.util import find_spec

    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the name ends in {', '.join(SUFFIXES)}")
    if find_spec("matplotlib") is None:
        raise EnvironmentUnusableError("--plot needs matplotlib: pip install 'longcat-eval[plots]'")


def write_plot(table: Table, path: Path) -> None:
    """Write the figure in the format that the suffix names; equal tables give equal SVG and PDF bytes."""
    import matplotlib as mpl

    check_plot(path)
    found = plots(table)
    if not found:
        raise UsageError("--plot: no benchmark of this report has a score")
    kind = path.suffix.lower()[1:]
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    settings: dict[Any, Any] = {**mpl.rcParamsDefault, "backend": mpl.rcParams["backend"]}
    settings |= {"font.family": ["DejaVu Sans"], "svg.hashsalt": "longcat-eval", "svg.fonttype": "none"}
    with mpl.rc_context(settings):  # not those of the user's matplotlibrc
        figure = draw(found)
        try:
            figure.savefig(path, format=kind, dpi=200, bbox_inches="tight", metadata=metadata)
        except OSError as error:
            raise EnvironmentUnusableError(f"cannot write {path}: {error.strerror}") from None


def draw(found: list[Plot]) -> "Figure":
    """One axis from 0 to 100: per benchmark a block of lines, one for each value."""
    from matplotlib.figure import Figure

    rows = sum(len(plot.strips) for plot in found) + GAP * len(found)
    figure = Figure(figsize=(7.0, HEAD + ROW * rows))
    axes: Axes = figure.add_subplot()
    columns = dict.fromkeys((not strip.ours, strip.label) for plot in found for strip in plot.strips)
    labels = [label for _, label in sorted(columns, key=lambda column: column[0])]
    known: dict[str, Any] = {}
    y, ticks = 0.0, list[tuple[float, str]]()
    for plot in found:
        first = y
        for strip in plot.strips:
            number = labels.index(strip.label)
            look = _look(strip.ours, number)
            if strip.low is not None and strip.high is not None:
                axes.hlines(y, strip.low, strip.high, color=look["color"], linewidth=2.5, alpha=0.45)
            (point,) = axes.plot([strip.value], [y], linestyle="none", **look)
            known.setdefault(strip.label, point)
            y += 1
        for name, value in plot.floors:
            line = axes.vlines(value, first - 0.4, y - 0.6, color="0.3", linestyle=":", linewidth=1.2)
            known.setdefault(f"floor: {name}", line)
        ticks.append(((first + y - 1) / 2, plot.label))
        y += GAP
    axes.set(
        xlim=(0, 100), ylim=(y - GAP - 0.3, -0.7), xlabel="score (%), with 95 % intervals over questions"
    )
    axes.set_yticks([at for at, _ in ticks], [_plain(label) for _, label in ticks])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(
        list(known.values()),
        [_plain(label) for label in known],
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=2,
        frameon=False,
        fontsize="small",
    )
    return figure


def _look(ours: bool, number: int) -> dict[str, Any]:
    """Ours filled and in colour, published ones hollow and grey, each label with a shape of its own."""
    colour = f"C{number}" if ours else PUBLISHED_GREY
    shape = SHAPES[number % len(SHAPES)]
    return {"color": colour, "marker": shape, "markersize": 5, "markerfacecolor": colour if ours else "white"}


def _plain(label: str) -> str:
    """A label as matplotlib prints it: a dollar sign would begin mathematics."""
    return label.replace("$", r"\$")
