"""`make bench`: our functions beside the peers under AWS's runtime client, in interleaved rounds.

It measures and writes docs/performance.md; what a figure means is said there.
"""

import argparse
import contextlib
import itertools
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import simplejson

from benchmarks import side_by_side_report
from benchmarks.figures import percentile
from benchmarks.subjects import BARE, CLIENT, OURS, Subject, prepared
from local.engine import Engine
from tests.support.deployed_functions import deployed_environment
from tests.support.function_process import running
from tests.support.report import REPOSITORY
from tests.support.workload import (
    PRODUCTS,
    READS,
    TABLE,
    dynamodb,
    events_of,
    fill_table,
    function_environment,
)

_WARM_UP = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_REPORT = REPOSITORY / ".local" / "reports" / "side_by_side.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process of a function gave: seconds and bytes."""

    cold_start: float
    cold_cpu: float
    cpu: float
    p50: float
    p95: float
    peak_memory: float


def measure(subject: Subject, endpoint_url: str, requests: int) -> tuple[Sample, dict[str, Any]]:
    """Start a function, warm it up, and measure `requests` more; also return its first answer."""
    count = 1 + _WARM_UP + requests
    events = [
        json.dumps(event).encode()
        for event in itertools.islice(events_of(subject.operation), count)
    ]
    with (
        _table_for(subject, endpoint_url, count) as table,
        running(subject.function, _environment(subject, endpoint_url, table)) as process,
    ):
        first, cold_start = process.first_answer(events[0])
        cold_cpu = process.cpu_seconds()
        for event in events[1 : 1 + _WARM_UP]:
            process.invoke(event)
        before = process.cpu_seconds()
        responses = [process.invoke(event) for event in events[1 + _WARM_UP :]]
        cpu = (process.cpu_seconds() - before) / requests
        latencies = [response.answered - response.handed_out for response in responses]
        sample = Sample(
            cold_start,
            cold_cpu,
            cpu,
            percentile(latencies, 50),
            percentile(latencies, 95),
            process.peak_memory(),
        )
    for response in responses:
        _require_success(subject, simplejson.loads(response.payload))
    return sample, simplejson.loads(first.payload)


def require_same_answer(
    subject: Subject, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    """Check that a peer answers as we do, but for the moment and the digest of its own spelling.

    Raises:
        SystemExit: it does not.
    """
    expected, found = _comparable(ours), _comparable(theirs)
    if expected != found:
        raise SystemExit(
            f"{subject.stack} answers {subject.operation} otherwise than we do:"
            f" {found} instead of {expected}."
        )


def main() -> int:
    """Measure, write the report, and return 1 where a bound is not reached."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="processes for each function")
    parser.add_argument("--requests", type=int, default=100, help="warm requests for each process")
    options = parser.parse_args()

    samples: dict[tuple[str, str], list[Sample]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subjects = prepared(Path(folder))
        with Engine(Path(folder) / "engine") as engine:
            fill_table(engine.endpoint_url, TABLE, PRODUCTS)
            for number in range(1, options.rounds + 1):
                _show_progress(number, options.rounds)
                for subject, sample in _round(subjects, engine.endpoint_url, options.requests):
                    samples.setdefault((subject.stack, subject.operation), []).append(sample)
    sizes = {(subject.stack, subject.operation): subject.zip_bytes for subject in subjects}
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    raw = {"/".join(key): [asdict(each) for each in values] for key, values in samples.items()}
    _REPORT.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    columns = {
        key: {name: [getattr(each, name) for each in values] for name in Sample.__slots__}
        for key, values in samples.items()
    }
    missed = side_by_side_report.write(columns, sizes, options.rounds, options.requests)
    for line in missed:
        print(f"Not reached: {line}")
    return 1 if missed else 0


def _round(
    subjects: list[Subject], endpoint_url: str, requests: int
) -> Iterator[tuple[Subject, Sample]]:
    """Measure every subject once, in random order, and compare the answers."""
    first_answers: dict[Subject, dict[str, Any]] = {}
    for subject in random.sample(subjects, len(subjects)):
        sample, first_answers[subject] = measure(subject, endpoint_url, requests)
        yield subject, sample
    ours = {
        each.operation: response for each, response in first_answers.items() if each.stack == OURS
    }
    for subject, response in first_answers.items():
        if subject.stack not in BARE:
            require_same_answer(subject, ours[subject.operation], response)


@contextlib.contextmanager
def _table_for(subject: Subject, endpoint_url: str, requests: int) -> Iterator[str]:
    """The table that is only read, or one that a single process may change."""
    if subject.operation in READS:
        yield TABLE
        return
    table = "products-changed"
    fill_table(endpoint_url, table, 0 if subject.operation == "create" else requests)
    yield table
    dynamodb(endpoint_url).sync_delete_table(table)


def _environment(subject: Subject, endpoint_url: str, table: str) -> dict[str, str]:
    as_ours = subject.stack in (OURS, CLIENT)
    return (deployed_environment if as_ours else function_environment)(endpoint_url, table)


def _require_success(subject: Subject, response: Mapping[str, Any]) -> None:
    if response["statusCode"] not in {200, 201, 204}:
        raise SystemExit(f"{subject.stack} failed at {subject.operation}: {response}.")


def _comparable(response: Mapping[str, Any]) -> dict[str, Any]:
    several = {
        name: ", ".join(each) for name, each in response.get("multiValueHeaders", {}).items()
    }
    headers = {
        name.lower(): value for name, value in {**several, **response.get("headers", {})}.items()
    }
    body = _MOMENT.sub("(a moment)", response["body"] or "null")
    document = simplejson.loads(body, use_decimal=True)
    is_list = document is not None and "products" in document
    return {
        "status": response["statusCode"],
        "etag": "(a digest)" if is_list and headers["etag"] else headers.get("etag"),
        "location": headers.get("location"),
        "cache-control": headers["cache-control"],
        "type": headers.get("content-type") if document is not None else None,
        "body": document,
    }


def _show_progress(number: int, rounds: int) -> None:
    print(f"Round {number} of {rounds}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
