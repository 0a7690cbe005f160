"""`make memory`: whether a function's process grows over many requests, honest and hostile ones.

Each function runs under AWS's runtime client, from its zip, as in `make bench`.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.document import RELIABILITY, table, write_section
from benchmarks.function_process import Function, running
from benchmarks.subjects import TUNING, our_functions
from benchmarks.workload import events_of, fill_table, function_environment
from local.engine import Engine
from tests.hostile import hostile_events

_WARM_UP = 5_000  # every hostile event twice
_ENOUGH_PRODUCTS = 200
_LOOKED_AT = 2_000  # requests at the end of a part
_BETWEEN_LOOKS = 20  # requests
_MB = 1e-6
_MOST_GROWTH = 250  # bytes per request of the second half; a request alone has some thousands


def main() -> int:
    """Measure, write the table, and return 1 where a function has grown."""
    parser = argparse.ArgumentParser(prog="make memory", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="to all functions together")
    options = parser.parse_args()

    rows: list[tuple[str, ...]] = []
    grown: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder) / "engine") as engine:
        functions = our_functions(Path(folder))
        share = options.requests // len(functions)
        for operation, function in functions.items():
            name = f"products-{operation}"
            fill_table(engine.endpoint_url, name, _ENOUGH_PRODUCTS)
            environment = {**function_environment(engine.endpoint_url, name), **TUNING}
            warm, middle, last = growth(function, operation, environment, share)
            second_half = (last - middle) / (share - share // 2)
            rows.append(
                (
                    operation,
                    f"{share:,}",
                    *(f"{size * _MB:.1f}" for size in (warm, middle, last)),
                    f"{second_half:.0f}",
                )
            )
            print(" ".join(rows[-1]), flush=True)
            if second_half > _MOST_GROWTH:
                grown.append(operation)
    heads = ("function", "requests", "after warm-up, MB", "half-way, MB", "at the end, MB")
    write_section(
        RELIABILITY, "memory", table((*heads, "bytes per request of the second half"), rows)
    )
    for operation in grown:
        print(
            f"The function of {operation} goes on growing, by over {_MOST_GROWTH} bytes a request."
        )
    return 1 if grown else 0


def growth(
    function: Function, operation: str, environment: dict[str, str], requests: int
) -> tuple[int, int, int]:
    """The resident bytes after a warm-up, after half the requests, and after all of them.

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

        warm = least_at_the_end_of(_WARM_UP)
        middle = least_at_the_end_of(requests // 2)
        return warm, middle, least_at_the_end_of(requests - requests // 2)


def _mixed(operation: str) -> Iterator[bytes]:
    """Honest events that come round again, every tenth a hostile one."""
    honest = itertools.cycle(list(itertools.islice(events_of(operation), _ENOUGH_PRODUCTS)))
    hostile = itertools.cycle(list(hostile_events()))
    for number in itertools.count():
        yield json.dumps(next(hostile) if number % 10 == 0 else next(honest)).encode()


if __name__ == "__main__":
    sys.exit(main())
