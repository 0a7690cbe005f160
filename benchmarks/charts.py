"""Draws the charts beside the tables, as SVG whose bytes depend on the figures alone."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure
from benchmarks.subjects import BARE, LABELS, OURS
from tests.support.report import CHARTS

mpl.rcParams.update(
    {
        "svg.hashsalt": "product-service",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
_COLOURS = {OURS: "#1769aa", **dict.fromkeys(BARE, "#9aa5b1")}
_PEER_COLOUR = "#d08c3f"
_OPERATIONS = ("get", "list", "create")
_MEASURES = (
    ("cold_start", "cold start, ms", 1e3),
    ("cpu", "CPU per warm request, ms", 1e3),
    ("peak_memory", "peak memory, MB", 1e-6),
)


def side_by_side(figures: Mapping[tuple[str, str], Mapping[str, Figure]]) -> None:
    """Write bars: a row for each measure, a column for each operation, a bar for each stack."""
    canvas = Canvas(figsize=(11, 8), layout="constrained")
    grid = canvas.subplots(len(_MEASURES), len(_OPERATIONS), sharey=True)
    stacks = list(LABELS)[::-1]
    for row, (name, title, scale) in zip(grid, _MEASURES, strict=True):
        for axes, operation in zip(row, _OPERATIONS, strict=True):
            # What is measured once stands beside every operation, for its scale.
            shown = [figures[each, "get" if each in BARE else operation][name] for each in stacks]
            medians = [figure.median * scale for figure in shown]
            spread = [
                [(figure.median - figure.lower) * scale for figure in shown],
                [(figure.upper - figure.median) * scale for figure in shown],
            ]
            bars = axes.barh(
                [LABELS[each] for each in stacks],
                medians,
                xerr=spread,
                color=[_COLOURS.get(each, _PEER_COLOUR) for each in stacks],
                error_kw={"elinewidth": 1, "ecolor": "#333333"},
            )
            axes.bar_label(bars, fmt="%.3g", padding=6, fontsize=8)
            axes.margins(x=0.2)
            axes.set_title(f"{operation}: {title}", fontsize=10)
    _save(canvas, "side-by-side")


def lines(
    name: str, title: str, across: str, up: str, series: Mapping[str, Sequence[tuple[float, float]]]
) -> None:
    """Write one chart of lines over a logarithmic axis, a point for each measurement."""
    canvas = Canvas(figsize=(8, 4.5), layout="constrained")
    axes = canvas.subplots()
    for label, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title)
    axes.legend(frameon=False)
    _save(canvas, name)


def _save(canvas: Canvas, name: str) -> None:
    CHARTS.mkdir(parents=True, exist_ok=True)
    canvas.savefig(CHARTS / f"{name}.svg", metadata={"Date": None})
