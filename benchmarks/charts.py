"""Draws the charts of docs/performance.md as SVG; equal figures give equal bytes."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.cost_model import (
    OPTIONAL_PARTS,
    PARTS,
    Catalogue,
    Inputs,
    Switches,
    bill,
    dearest,
    total,
)
from benchmarks.figures import Figure
from benchmarks.prices import Price
from benchmarks.size_costs import P95_LIMIT_MS, SIZES, STACKS, Sizes, mixed_million_usd
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


def sizes(measured: Sizes, prices: Mapping[str, Price]) -> None:
    """Write line charts by memory size: cost, warm latency and cold start, of both stacks."""
    canvas = Canvas(figsize=(12, 4.5), layout="constrained")
    cost, warm, cold = canvas.subplots(1, 3)
    for stack in STACKS:
        colour = _COLOURS.get(stack, _PEER_COLOUR)
        summaries = {
            name: [measured.summaries[size, stack, name] for size in SIZES] for name in _OPERATIONS
        }
        usd = [mixed_million_usd(measured, size, stack, prices) for size in SIZES]
        cost.plot(SIZES, usd, marker="o", color=colour, label=LABELS[stack])
        for name, style in zip(_OPERATIONS, ("-", "--", ":"), strict=True):
            label = f"{name}, {LABELS[stack]}"
            line = {"marker": "o", "color": colour, "linestyle": style, "label": label}
            warm.plot(SIZES, [each.p95_ms for each in summaries[name]], **line)
            cold.plot(SIZES, [each.cold_ms for each in summaries[name]], **line)
    warm.axhline(P95_LIMIT_MS, color="#333333", linewidth=1)
    warm.annotate(f"bound: {P95_LIMIT_MS} ms", (SIZES[-1], P95_LIMIT_MS), ha="right", va="bottom")
    cost.set_ylim(bottom=0)
    for axes in (warm, cold):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
    titles = ("USD for a million requests", "warm p95, ms", "cold start, ms")
    for axes, title in zip((cost, warm, cold), titles, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
        axes.minorticks_off()
        axes.set_xlabel("memory, MB")
        axes.set_title(title, fontsize=10)
    cost.legend(frameon=False, fontsize=8)
    cold.legend(frameon=False, fontsize=7)
    _save(canvas, "sizes")


def costs(catalogues: Sequence[Catalogue], inputs: Inputs) -> None:
    """Write bar charts: one for each catalogue, with a bar for each part."""
    canvas = Canvas(figsize=(12, 4.5), layout="constrained")
    grid = canvas.subplots(1, len(catalogues), sharey=True)
    shown = [part for part in PARTS if part not in OPTIONAL_PARTS][::-1]
    for axes, catalogue in zip(grid, catalogues, strict=True):
        parts = bill(catalogue, Switches(), inputs)
        most = dearest(parts)
        bars = axes.barh(
            shown,
            [parts[part] for part in shown],
            color=[_COLOURS[OURS] if part == most else _PEER_COLOUR for part in shown],
        )
        axes.bar_label(bars, fmt="%.2f", padding=4, fontsize=8)
        axes.margins(x=0.2)
        axes.set_title(f"{catalogue.name}: {total(parts):,.2f} USD a month", fontsize=10)
    _save(canvas, "cost")


def ages(series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write a line chart: how old what readers saw was at most, in each second of a run."""
    canvas = Canvas(figsize=(8, 4.5), layout="constrained")
    axes = canvas.subplots()
    for label, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds of the run")
    axes.set_ylabel("highest age of what a reader saw, s")
    axes.set_title("How old a page is after a change")
    axes.legend(frameon=False)
    _save(canvas, "edge-ages")


def _save(canvas: Canvas, name: str) -> None:
    CHARTS.mkdir(parents=True, exist_ok=True)
    canvas.savefig(CHARTS / f"{name}.svg", metadata={"Date": None})
