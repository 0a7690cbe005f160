"""Turns the samples of `make bench` into tables, a chart and bounds; it measures nothing."""

import platform
from collections.abc import Mapping, Sequence

from benchmarks import charts
from benchmarks.bounds import Key, bounds, bounds_table
from benchmarks.figures import Figure, figure_of, ratio
from benchmarks.subjects import LABELS, OURS
from tests.support.report import FIGURES, PERFORMANCE, table, write_section
from tests.support.workload import OPERATIONS

type Columns = Mapping[Key, Mapping[str, Sequence[float]]]
"""The values of all samples, by the names of their fields."""

_MS = 1e3
_MB = 1e-6
_TABLES = (
    ("cold_start", "Cold start, ms", _MS, 0),
    ("cold_cpu", "CPU time of a cold start, ms", _MS, 0),
    ("cpu", "CPU time per warm request, ms", _MS, 2),
    ("p50", "Warm latency, median, ms", _MS, 2),
    ("p95", "Warm latency, 95th percentile, ms", _MS, 2),
    ("peak_memory", "Peak memory, MB", _MB, 1),
)


def write(columns: Columns, sizes: Mapping[Key, int], rounds: int, requests: int) -> list[str]:
    """Write the tables and the chart, and return one sentence for each missed bound."""
    figures = {
        key: {name: figure_of(values) for name, values in fields.items()}
        for key, fields in columns.items()
    }
    found = bounds(figures, sizes)
    conditions = (
        f"{rounds} rounds, with {requests} warm requests in each process."
        f" Python {platform.python_version()} on {platform.machine()}."
    )
    explanation = (
        "Each cell has the median and the quartiles in brackets, then the ratio of the lower\n"
        "quartile to that of this service."
    )
    parts = [conditions, explanation]
    for name, title, scale, digits in _TABLES:
        parts += [f"### {title}", _measure_table(figures, name, scale, digits)]
    parts += ["### Zip, MB", _size_table(sizes)]
    write_section(FIGURES, "side-by-side", "\n\n".join(parts))
    write_section(PERFORMANCE, "bounds", f"{conditions}\n\n{bounds_table(found)}")
    charts.side_by_side(figures)
    return [
        f"{bound.operation}: {bound.measure} is {bound.measured:.2f}, at most {bound.limit:g}"
        for bound in found
        if not bound.met
    ]


def _measure_table(
    figures: Mapping[Key, Mapping[str, Figure]], name: str, scale: float, digits: int
) -> str:
    """Return a table of one measure: one row per stack, one column per operation."""

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
    """Return a table of the zips: one row per stack, one column per operation."""
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
