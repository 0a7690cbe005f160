"""The bounds that this service sets itself beside its peers; it measures nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.figures import Figure, ratio
from benchmarks.subjects import FLOOR, OURS, PEERS
from tests.support.workload import OPERATIONS, READS

type Key = tuple[str, str]
"""A stack and an operation."""

_MEGABYTE = 1e6
_COLD_READS, _COLD_WRITES, _COLD_FLOOR = 0.45, 0.8, 3.2
_CPU = 0.5
_MEMORY_READS, _MEMORY_WRITES = 0.7, 0.85
_ZIP_READS, _ZIP_WRITES = 8.0, 10.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit, and what was measured."""

    meaning: str
    limit: float
    found: float

    @property
    def reached(self) -> bool:
        """Whether the limit is kept."""
        return self.found <= self.limit


def bounds(figures: Mapping[Key, Mapping[str, Figure]], sizes: Mapping[Key, int]) -> list[Bound]:
    """Every limit that this service sets itself, beside what was measured."""
    found: list[Bound] = []
    for operation in OPERATIONS:
        reads = operation in READS
        ours, a = figures[OURS, operation], figures["a", operation]
        cold = ours["cold_start"]
        least = min((figures[peer, operation]["cold_start"] for peer in PEERS), key=_median)
        best, floor = ratio(cold, least), ratio(cold, figures[FLOOR, "get"]["cold_start"])
        found.append(
            Bound(
                f"{operation}: cold start, of peer (a)",
                _COLD_READS if reads else _COLD_WRITES,
                ratio(cold, a["cold_start"]),
            )
        )
        found.append(Bound(f"{operation}: cold start, of the fastest peer", 1.0, best))
        if reads:
            found.append(Bound(f"{operation}: cold start, of the floor", _COLD_FLOOR, floor))
        found.append(
            Bound(f"{operation}: CPU per request, of peer (a)", _CPU, ratio(ours["cpu"], a["cpu"]))
        )
        found.append(
            Bound(
                f"{operation}: peak memory, of peer (a)",
                _MEMORY_READS if reads else _MEMORY_WRITES,
                ratio(ours["peak_memory"], a["peak_memory"]),
            )
        )
        found.append(
            Bound(
                f"{operation}: zip, MB",
                _ZIP_READS if reads else _ZIP_WRITES,
                sizes[OURS, operation] / _MEGABYTE,
            )
        )
    return found


def _median(figure: Figure) -> float:
    return figure.median
