"""Turns the samples of `make bench` into tables, a chart and bounds; it measures nothing."""

import platform
from collections.abc import Mapping, Sequence

from benchmarks import charts
from benchmarks.bounds import Bound, Key, bounds
from benchmarks.figures import Figure, figure_of, ratio
from benchmarks.subjects import LABELS, OURS
from tests.support.report import PERFORMANCE, table, write_section
from tests.support.workload import OPERATIONS

type Columns = Mapping[Key, Mapping[str, Sequence[float]]]
"""The samples' values by the names of their fields."""

_MS = 1e3
_MB = 1e-6
_MEASURES = (
    ("cold_start", "Cold start, ms", _MS, 0),
    ("cold_cpu", "CPU time of a cold start, ms", _MS, 0),
    ("cpu", "CPU time per warm request, ms", _MS, 2),
    ("p50", "Warm latency, median, ms", _MS, 2),
    ("p95", "Warm latency, 95th percentile, ms", _MS, 2),
    ("peak_memory", "Peak memory, MB", _MB, 1),
)


def write(columns: Columns, sizes: Mapping[Key, int], rounds: int, requests: int) -> list[str]:
    """Write the tables and the chart, and return a sentence for each bound that is missed."""
    figures = {
        key: {name: figure_of(values) for name, values in fields.items()}
        for key, fields in columns.items()
    }
    limits = bounds(figures, sizes)
    how = (
        f"Medians of {rounds} rounds, the quartiles in brackets, and how many times ours it is."
        f" {requests} warm requests in each process. Python {platform.python_version()} on"
        f" {platform.machine()}."
    )
    parts = [how]
    for name, title, scale, digits in _MEASURES:
        parts += [f"### {title}", _measure_table(figures, name, scale, digits)]
    parts += ["### Zip, MB", _size_table(sizes)]
    write_section(PERFORMANCE, "side-by-side", "\n\n".join(parts))
    write_section(PERFORMANCE, "bounds", _bounds_table(limits))
    charts.side_by_side(figures)
    return [
        f"{bound.meaning}: {bound.found:.2f}, more than {bound.limit:g}"
        for bound in limits
        if not bound.reached
    ]


def _measure_table(
    figures: Mapping[Key, Mapping[str, Figure]], name: str, scale: float, digits: int
) -> str:
    def cell(stack: str, operation: str) -> str:
        if (stack, operation) not in figures:
            return ""
        figure = figures[stack, operation][name]
        ours = figures[OURS, operation][name]
        values = [
            f"{value * scale:.{digits}f}" for value in (figure.median, figure.lower, figure.upper)
        ]
        text = f"{values[0]} ({values[1]}-{values[2]})"
        return text if stack == OURS else f"{text}, {ratio(figure, ours):.2f}x"

    rows = [
        (label, *(cell(stack, operation) for operation in OPERATIONS))
        for stack, label in LABELS.items()
    ]
    return table(("", *OPERATIONS), rows)


def _size_table(sizes: Mapping[Key, int]) -> str:
    rows = [
        (
            label,
            *(
                f"{sizes[stack, operation] * _MB:.1f}" if (stack, operation) in sizes else ""
                for operation in OPERATIONS
            ),
        )
        for stack, label in LABELS.items()
    ]
    return table(("", *OPERATIONS), rows)


def _bounds_table(limits: Sequence[Bound]) -> str:
    rows = [
        (bound.meaning, f"{bound.limit:g}", f"{bound.found:.2f}", "yes" if bound.reached else "no")
        for bound in limits
    ]
    return table(("what", "at most", "measured", "reached"), rows)
