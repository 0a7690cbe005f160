"""The arithmetic of `make sizes`: what a million requests cost in each memory size.

It measures nothing; it reads and writes the file with the measurements.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

from benchmarks.figures import percentile
from benchmarks.measurement import Observation
from benchmarks.prices import Price
from benchmarks.subjects import OURS
from tests.support.workload import OPERATIONS, SHARES

type Key = tuple[int, str, str]
"""A memory size in MB, a stack and an operation."""

SIZES: Final = (128, 256, 512, 1024, 1769)
PEER: Final = "a"
STACKS: Final = (OURS, PEER)
P95_LIMIT_MS: Final = 250
"""The alarm of the API is raised above it (`alarm_latency_p95_ms`)."""
COLD_SHARE: Final = Decimal("0.01")
"""AWS saw cold starts in under 1 % of invocations (AWS Compute Blog, "AWS Lambda standardizes
billing for INIT Phase"). It bills them for all functions since August 2025."""
MEASURED_SIZES: Final = Path(__file__).parent / "measured" / "sizes.json"

_MEGABYTES_OF_ONE_GIGABYTE: Final = 1024
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Summary:
    """The measurements of one function in one size, over all rounds.

    Attributes:
        cold_ms: median time of a cold start.
        p50_ms: median latency of a warm request; `p95_ms` likewise.
        billed_ms: mean billed duration of a warm request; Lambda bills whole milliseconds.
        billed_cold_ms: mean billed duration of a cold start.
        cpu_ms: median CPU time of a warm request.
        peak_memory_mb: highest resident memory, in MB of 1,048,576 bytes as Lambda counts.
    """

    cold_ms: Decimal
    p50_ms: Decimal
    p95_ms: Decimal
    billed_ms: Decimal
    billed_cold_ms: Decimal
    cpu_ms: Decimal
    peak_memory_mb: Decimal


@dataclass(frozen=True, slots=True)
class Sizes:
    """The measurements of all functions in all sizes, and their conditions.

    Attributes:
        requests: warm requests in each process.
        cores: of the machine.
        load: its mean load while it was measured, with the measurement itself (one or two). Where
            it exceeds the cores, other processes made the measured ones wait.
        largest_page_mb: highest resident memory of a list of the largest products.
    """

    python: str
    machine: str
    rounds: int
    requests: int
    cores: int
    load: Decimal
    largest_page_mb: Decimal
    summaries: Mapping[Key, Summary]

    def to_json(self) -> str:
        """Return the text of the file of measurements."""
        entries = [
            {
                "size_mb": size,
                "stack": stack,
                "operation": operation,
                **{name: str(getattr(summary, name)) for name in Summary.__slots__},
            }
            for (size, stack, operation), summary in sorted(self.summaries.items())
        ]
        document = {
            "command": "make sizes",
            "python": self.python,
            "machine": self.machine,
            "rounds": self.rounds,
            "requests": self.requests,
            "cores": self.cores,
            "load": str(self.load),
            "largest_page_mb": str(self.largest_page_mb),
            "functions": entries,
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the measurements in the text of such a file."""
        document = json.loads(text)
        return cls(
            document["python"],
            document["machine"],
            document["rounds"],
            document["requests"],
            document["cores"],
            Decimal(document["load"]),
            Decimal(document["largest_page_mb"]),
            {
                (entry["size_mb"], entry["stack"], entry["operation"]): Summary(
                    **{name: Decimal(entry[name]) for name in Summary.__slots__}
                )
                for entry in document["functions"]
            },
        )


def summary_of(observations: Sequence[Observation]) -> Summary:
    """Summarize the processes of one function in one size."""
    latencies = [seconds for each in observations for seconds in each.latencies]
    cold = [each.cold_start for each in observations]
    return Summary(
        cold_ms=_milliseconds(percentile(cold, 50)),
        p50_ms=_milliseconds(percentile(latencies, 50)),
        p95_ms=_milliseconds(percentile(latencies, 95)),
        billed_ms=_mean_billed(latencies),
        billed_cold_ms=_mean_billed(cold),
        cpu_ms=_milliseconds(percentile([each.cpu for each in observations], 50)),
        peak_memory_mb=megabytes(max(each.peak_memory for each in observations)),
    )


def megabytes(count: int) -> Decimal:
    """Return a number of bytes in MB of 1,048,576 bytes."""
    return round(Decimal(count) / 1_048_576, 1)


def compute_usd(size: int, billed_ms: Decimal, prices: Mapping[str, Price]) -> Decimal:
    """Return the price of a billed duration, without the price of the request."""
    gigabyte_seconds = billed_ms / 1000 * size / _MEGABYTES_OF_ONE_GIGABYTE
    return prices["lambda_gb_second"].of(gigabyte_seconds)


def mean_billed_ms(summary: Summary) -> Decimal:
    """Return the mean billed duration of a request, with a share of cold starts."""
    return (1 - COLD_SHARE) * summary.billed_ms + COLD_SHARE * summary.billed_cold_ms


def million_usd(size: int, summary: Summary, prices: Mapping[str, Price]) -> Decimal:
    """Return what Lambda bills for a million requests of one operation."""
    compute = compute_usd(size, mean_billed_ms(summary) * _MILLION, prices)
    return compute + prices["lambda_request"].of(_MILLION)


def mixed_million_usd(sizes: Sizes, size: int, stack: str, prices: Mapping[str, Price]) -> Decimal:
    """Return what Lambda bills for a million requests of all operations, by their shares."""
    return sum(
        (
            million_usd(size, sizes.summaries[size, stack, operation], prices)
            * SHARES[operation]
            / 100
            for operation in OPERATIONS
        ),
        Decimal(0),
    )


def slowest_p95(sizes: Sizes, size: int, stack: str) -> Decimal:
    """Return the p95 of the slowest operation, in milliseconds."""
    return max(sizes.summaries[size, stack, operation].p95_ms for operation in OPERATIONS)


def peak_memory(sizes: Sizes, size: int) -> Decimal:
    """Return the highest memory of this service's functions, with the largest page, in MB."""
    measured = (sizes.summaries[size, OURS, each].peak_memory_mb for each in OPERATIONS)
    return max(sizes.largest_page_mb, *measured)


def suitable(sizes: Sizes) -> list[int]:
    """Return the sizes in which each operation is fast enough and the memory suffices.

    Raises:
        ValueError: no size is.
    """
    found = [
        size
        for size in SIZES
        if slowest_p95(sizes, size, OURS) <= P95_LIMIT_MS and peak_memory(sizes, size) < size
    ]
    if not found:
        raise ValueError(f"No memory size answers within {P95_LIMIT_MS} ms: add a larger one.")
    return found


def decided(sizes: Sizes, prices: Mapping[str, Price]) -> int:
    """Return the cheapest suitable size; at an equal price, the larger one, which starts faster.

    Raises:
        ValueError: no size is suitable.
    """
    usd = {size: mixed_million_usd(sizes, size, OURS, prices) for size in suitable(sizes)}
    return min(usd, key=lambda size: (usd[size], -size))


def _milliseconds(seconds: float) -> Decimal:
    return round(Decimal(seconds) * 1000, 2)


def _mean_billed(durations: Sequence[float]) -> Decimal:
    """Return the mean of durations in seconds, each rounded up to a whole millisecond."""
    billed = sum(math.ceil(seconds * 1000) for seconds in durations)
    return round(Decimal(billed) / len(durations), 2)
