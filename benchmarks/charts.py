"""Draws the charts of docs/performance.md as SVG; equal figures give equal bytes."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure
from benchmarks.subjects import LABELS, LOWER_LIMITS, OURS
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
_COLOURS = {OURS: "#1769aa", **dict.fromkeys(LOWER_LIMITS, "#9aa5b1")}
_PEER_COLOUR = "#d08c3f"
_OPERATIONS = ("get", "list", "create")
_MEASURES = (
    ("cold_start", "cold start, ms", 1e3),
    ("cpu", "CPU per warm request, ms", 1e3),
    ("peak_memory", "peak memory, MB", 1e-6),
)


def side_by_side(figures: Mapping[tuple[str, str], Mapping[str, Figure]]) -> None:
    """Write bar charts: one row per measure, one column per operation, one bar per stack."""
    canvas = Canvas(figsize=(11, 8), layout="constrained")
    grid = canvas.subplots(len(_MEASURES), len(_OPERATIONS), sharey=True)
    stacks = list(LABELS)[::-1]
    for row, (name, title, scale) in zip(grid, _MEASURES, strict=True):
        for axes, operation in zip(row, _OPERATIONS, strict=True):
            # The lower limits are measured for `get` only; every column repeats them for scale.
            shown = [
                figures[each, "get" if each in LOWER_LIMITS else operation][name] for each in stacks
            ]
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
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """Write a line chart with a logarithmic x axis and a point for each measurement."""
    canvas = Canvas(figsize=(8, 4.5), layout="constrained")
    axes = canvas.subplots()
    for label, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title)
    axes.legend(frameon=False)
    _save(canvas, name)


def _save(canvas: Canvas, name: str) -> None:
    CHARTS.mkdir(parents=True, exist_ok=True)
    canvas.savefig(CHARTS / f"{name}.svg", metadata={"Date": None})
