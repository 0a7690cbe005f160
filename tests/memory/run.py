"""`make memory`: measures whether the memory of a function grows over many requests.

Valid and hostile requests take turns. Each function runs from its zip under AWS's runtime client,
as in `make bench`.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.engine import Engine
from tests.support.deployed_functions import deployed_environment, our_functions
from tests.support.function_process import Function, running_function
from tests.support.hostile import hostile_events
from tests.support.report import RELIABILITY, table, write_section
from tests.support.workload import events_of, fill_table

_WARM_UP = 5_000  # requests; they include every hostile event twice
_PRODUCTS = 200
_PARTS = 8  # with five functions: 100,000 requests after the warm-ups
_PART = 2_500  # requests; they include every hostile event
_SAMPLED = 1_000  # requests at the end of each part
_SAMPLE_INTERVAL = 20  # requests
_MB = 1e-6
_MAX_GROWTH = 500  # bytes per request; one event is larger


def main() -> int:
    """Measure, write the table, and return 1 when the memory of a function grows."""
    argparse.ArgumentParser(prog="make memory", description=__doc__).parse_args()

    rows: list[tuple[str, ...]] = []
    grown: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder) / "engine") as engine:
        for operation, function in our_functions(Path(folder)).items():
            name = f"products-{operation}"
            fill_table(engine.endpoint_url, name, _PRODUCTS)
            environment = deployed_environment(engine.endpoint_url, name)
            sizes = memory_over_time(function, operation, environment)
            growth = lasting_growth(sizes) / _PART
            shown = (sizes[0], sizes[len(sizes) // 2], sizes[-1])
            print(f"{operation}:", *(f"{size * _MB:.1f}" for size in sizes), "MB", flush=True)
            rows.append(
                (
                    operation,
                    f"{_WARM_UP + _PARTS * _PART:,}",
                    *(f"{size * _MB:.1f}" for size in shown),
                    f"{growth:.0f}",
                )
            )
            if growth > _MAX_GROWTH:
                grown.append(operation)
    heads = ("function", "requests", "after warm-up, MB", "half-way, MB", "at the end, MB")
    write_section(RELIABILITY, "memory", table((*heads, "growth, bytes per request"), rows))
    for operation in grown:
        print(
            f"The function for {operation} grows by more than {_MAX_GROWTH} bytes a request:"
            " look for objects that stay referenced after a request."
        )
    return 1 if grown else 0


def memory_over_time(function: Function, operation: str, environment: dict[str, str]) -> list[int]:
    """Return the resident bytes after the warm-up and after each part.

    Each value is the lowest of many samples, because a large body uses memory only for a moment.
    """
    events = _mixed_events(operation)
    with running_function(function, environment) as process:

        def lowest_after(count: int) -> int:
            for event in itertools.islice(events, count - _SAMPLED):
                process.invoke(event)
            samples: list[int] = []
            for number, event in enumerate(itertools.islice(events, _SAMPLED)):
                process.invoke(event)
                if number % _SAMPLE_INTERVAL == 0:
                    samples.append(process.memory())
            return min(samples)

        return [lowest_after(count) for count in (_WARM_UP, *[_PART] * _PARTS)]


def lasting_growth(sizes: Sequence[int]) -> float:
    """Return the growth from one size to the next: the lowest size of each half, compared.

    A leak is never freed, so it raises every later size. Memory that is freed from time to time,
    such as reference cycles, does not count. One late step of the allocator counts little.
    """
    half = (len(sizes) + 1) // 2
    return (min(sizes[half:]) - min(sizes[:half])) / half


def _mixed_events(operation: str) -> Iterator[bytes]:
    """Yield events without end; every tenth is hostile, the others are valid."""
    valid = itertools.cycle(list(itertools.islice(events_of(operation), _PRODUCTS)))
    hostile = itertools.cycle(list(hostile_events()))
    for number in itertools.count():
        yield json.dumps(next(hostile) if number % 10 == 0 else next(valid)).encode()


if __name__ == "__main__":
    sys.exit(main())
