"""`make memory`: whether a function's process grows over many requests, honest and hostile ones.

Each function runs under AWS's runtime client, from its zip, as in `make bench`.
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
from tests.support.function_process import Function, running
from tests.support.hostile import hostile_events
from tests.support.report import RELIABILITY, table, write_section
from tests.support.workload import events_of, fill_table

_WARM_UP = 5_000  # every hostile event twice
_ENOUGH_PRODUCTS = 200
_PARTS = 8  # for each of five functions: 100,000 requests after the warm-ups
_PART = 2_500  # requests, among them every hostile event
_LOOKED_AT = 1_000  # requests at the end of a part
_BETWEEN_LOOKS = 20  # requests
_MB = 1e-6
_MOST_GROWTH = 500  # bytes per request, where each event alone has thousands


def main() -> int:
    """Measure, write the table, and return 1 where a function has grown."""
    argparse.ArgumentParser(prog="make memory", description=__doc__).parse_args()

    rows: list[tuple[str, ...]] = []
    grown: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder) / "engine") as engine:
        for operation, function in our_functions(Path(folder)).items():
            name = f"products-{operation}"
            fill_table(engine.endpoint_url, name, _ENOUGH_PRODUCTS)
            environment = deployed_environment(engine.endpoint_url, name)
            sizes = sizes_over_time(function, operation, environment)
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
            if growth > _MOST_GROWTH:
                grown.append(operation)
    heads = ("function", "requests", "after warm-up, MB", "half-way, MB", "at the end, MB")
    write_section(RELIABILITY, "memory", table((*heads, "growth, bytes per request"), rows))
    for operation in grown:
        print(
            f"The function of {operation} goes on growing, by over {_MOST_GROWTH} bytes a request."
        )
    return 1 if grown else 0


def sizes_over_time(function: Function, operation: str, environment: dict[str, str]) -> list[int]:
    """The resident bytes after a warm-up, and after each of the parts that follow.

    Each is the least of many readings: a large body that has just been read is no growth.
    """
    events = _mixed(operation)
    with running(function, environment) as process:

        def least_at_the_end_of(count: int) -> int:
            for event in itertools.islice(events, count - _LOOKED_AT):
                process.invoke(event)
            readings: list[int] = []
            for number, event in enumerate(itertools.islice(events, _LOOKED_AT)):
                process.invoke(event)
                if number % _BETWEEN_LOOKS == 0:
                    readings.append(process.memory())
            return min(readings)

        return [least_at_the_end_of(count) for count in (_WARM_UP, *[_PART] * _PARTS)]


def lasting_growth(sizes: Sequence[int]) -> float:
    """The growth from one size to the next, by the least of either half.

    What leaks is never freed. What is freed now and then, as cycles are, is no growth, and a step
    that the allocator takes once, of some megabytes and at a moment of its own, counts for little.
    """
    half = (len(sizes) + 1) // 2
    return (min(sizes[half:]) - min(sizes[:half])) / half


def _mixed(operation: str) -> Iterator[bytes]:
    """Honest events that come round again, every tenth a hostile one."""
    honest = itertools.cycle(list(itertools.islice(events_of(operation), _ENOUGH_PRODUCTS)))
    hostile = itertools.cycle(list(hostile_events()))
    for number in itertools.count():
        yield json.dumps(next(hostile) if number % 10 == 0 else next(honest)).encode()


if __name__ == "__main__":
    sys.exit(main())
