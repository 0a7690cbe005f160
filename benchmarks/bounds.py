"""Upper bounds that this service must meet, most of them relative to its peers.

It compares figures and shows the result as a table; it measures nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Figure, ratio, ratio_beyond
from benchmarks.subjects import FLOOR, OURS, PEERS
from tests.support.report import table
from tests.support.workload import OPERATIONS, READS

type Key = tuple[str, str]
"""A stack and an operation."""

COLD_START_TO_PEER_A: Final = "cold start / peer (a)"
COLD_START_TO_FASTEST: Final = "cold start / fastest peer"
COLD_START_TO_FLOOR: Final = "cold start / floor"
CPU_TO_PEER_A: Final = "CPU per request beyond the floor / peer (a)"
MEMORY_TO_PEER_A: Final = "peak memory / peer (a)"
ZIP_SIZE: Final = "zip, MB"
MEASURES: Final = (
    COLD_START_TO_PEER_A,
    COLD_START_TO_FASTEST,
    COLD_START_TO_FLOOR,
    CPU_TO_PEER_A,
    MEMORY_TO_PEER_A,
    ZIP_SIZE,
)
"""In the order of the columns that show them."""

_MEGABYTE = 1e6
_COLD_READS, _COLD_WRITES, _COLD_FASTEST, _COLD_FLOOR = 0.4, 0.6, 1.0, 3.2
_CPU = 0.45
_MEMORY_READS, _MEMORY_WRITES = 0.7, 0.85
_ZIP_READS, _ZIP_WRITES = 8.0, 10.0


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound and the measured value.

    Attributes:
        operation: one of `OPERATIONS`.
        measure: one of `MEASURES`.
    """

    operation: str
    measure: str
    limit: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether the measured value is at most the limit."""
        return self.measured <= self.limit


def bounds(figures: Mapping[Key, Mapping[str, Figure]], sizes: Mapping[Key, int]) -> list[Bound]:
    """Return every bound of every operation.

    Args:
        figures: seconds and bytes, by the names in `side_by_side.Sample`.
        sizes: the zips, in bytes.
    """
    return [bound for each in OPERATIONS for bound in _bounds_of(each, figures, sizes)]


def bounds_table(found: Sequence[Bound]) -> str:
    """Return a table of bounds: one row per operation, one column per measure."""
    cells = {(bound.operation, bound.measure): _cell(bound) for bound in found}
    rows = [
        (operation, *(cells.get((operation, measure), "") for measure in MEASURES))
        for operation in OPERATIONS
    ]
    return table(("operation", *MEASURES), rows)


def _bounds_of(
    operation: str, figures: Mapping[Key, Mapping[str, Figure]], sizes: Mapping[Key, int]
) -> Iterator[Bound]:
    is_read = operation in READS
    ours, peer_a, floor = figures[OURS, operation], figures["a", operation], figures[FLOOR, "get"]
    cold = ours["cold_start"]
    fastest = min((figures[peer, operation]["cold_start"] for peer in PEERS), key=_lower_quartile)

    yield Bound(
        operation,
        COLD_START_TO_PEER_A,
        _COLD_READS if is_read else _COLD_WRITES,
        ratio(cold, peer_a["cold_start"]),
    )
    yield Bound(operation, COLD_START_TO_FASTEST, _COLD_FASTEST, ratio(cold, fastest))
    if is_read:
        to_floor = ratio(cold, floor["cold_start"])
        yield Bound(operation, COLD_START_TO_FLOOR, _COLD_FLOOR, to_floor)
    yield Bound(
        operation,
        CPU_TO_PEER_A,
        _CPU,
        ratio_beyond(floor["cpu"], ours["cpu"], peer_a["cpu"]),
    )
    yield Bound(
        operation,
        MEMORY_TO_PEER_A,
        _MEMORY_READS if is_read else _MEMORY_WRITES,
        ratio(ours["peak_memory"], peer_a["peak_memory"]),
    )
    yield Bound(
        operation,
        ZIP_SIZE,
        _ZIP_READS if is_read else _ZIP_WRITES,
        sizes[OURS, operation] / _MEGABYTE,
    )


def _lower_quartile(figure: Figure) -> float:
    return figure.lower


def _cell(bound: Bound) -> str:
    """Return the measured value and its limit; a missed bound is bold."""
    measured = f"{bound.measured:.2f}" if bound.met else f"**{bound.measured:.2f}**"
    return f"{measured} (at most {bound.limit:g})"
