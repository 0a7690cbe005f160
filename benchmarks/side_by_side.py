"""`make bench`: compares the functions with those of peers, in interleaved rounds.

Every function runs under AWS's runtime client. docs/performance.md explains each figure.
"""

import argparse
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
from benchmarks.measurement import observe
from benchmarks.subjects import LOWER_LIMITS, OURS, Subject, prepared
from local.engine import Engine
from product_tools.repository import REPOSITORY
from tests.support.workload import PRODUCTS, TABLE, fill_table

_TIME_IN_TAG = re.compile("-[0-9]{20}")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_REPORT = REPOSITORY / ".local" / "reports" / "side_by_side.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """The measurements of one process of a function, in seconds and bytes.

    Attributes:
        cold_start: from the start of the process to the first response.
        cold_cpu: CPU time of the cold start.
        cpu: CPU time per warm request.
        p50: the median latency of the warm requests.
        p95: the 95th percentile of their latency.
    """

    cold_start: float
    cold_cpu: float
    cpu: float
    p50: float
    p95: float
    peak_memory: float


def measure(subject: Subject, endpoint_url: str, requests: int) -> tuple[Sample, Mapping[str, Any]]:
    """Start a function, warm it up and measure `requests` more requests.

    Returns:
        The measurements and the first response.

    Raises:
        SystemExit: a request failed.
    """
    observed = observe(subject, endpoint_url, requests)
    sample = Sample(
        observed.cold_start,
        observed.cold_cpu,
        observed.cpu,
        percentile(observed.latencies, 50),
        percentile(observed.latencies, 95),
        observed.peak_memory,
    )
    return sample, observed.first_response


def require_same_response(
    subject: Subject, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    """Check that a peer's response equals ours, except for timestamps and the list's digest.

    Raises:
        SystemExit: it differs.
    """
    expected, found = _comparable(ours), _comparable(theirs)
    if expected != found:
        raise SystemExit(
            f"The response of stack {subject.stack} to {subject.operation} differs from ours."
            f" Correct benchmarks/peers: {found} should be {expected}."
        )


def main() -> int:
    """Measure, write the report, and return 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=9, help="number of processes for each function"
    )
    parser.add_argument(
        "--requests", type=int, default=100, help="number of warm requests in each process"
    )
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
        print(f"Missed bound: {line}")
    return 1 if missed else 0


def _round(
    subjects: list[Subject], endpoint_url: str, requests: int
) -> Iterator[tuple[Subject, Sample]]:
    """Measure every subject once, in random order, and compare the first responses."""
    responses: dict[Subject, Mapping[str, Any]] = {}
    for subject in random.sample(subjects, len(subjects)):
        sample, responses[subject] = measure(subject, endpoint_url, requests)
        yield subject, sample
    ours = {each.operation: response for each, response in responses.items() if each.stack == OURS}
    for subject, response in responses.items():
        if subject.stack not in LOWER_LIMITS:
            require_same_response(subject, ours[subject.operation], response)


def _comparable(response: Mapping[str, Any]) -> dict[str, Any]:
    multi_value = {
        name: ", ".join(values) for name, values in response.get("multiValueHeaders", {}).items()
    }
    headers = {
        name.lower(): value
        for name, value in {**multi_value, **response.get("headers", {})}.items()
    }
    body = _TIMESTAMP.sub("(timestamp)", response["body"] or "null")
    document = simplejson.loads(body, use_decimal=True)
    is_list = document is not None and "products" in document
    tag = headers.get("etag")
    return {
        "status": response["statusCode"],
        "etag": "(digest)" if is_list and tag else tag and _TIME_IN_TAG.sub("-(timestamp)", tag),
        "location": headers.get("location"),
        "cache-control": headers["cache-control"],
        "type": headers.get("content-type") if document is not None else None,
        "body": document,
    }


def _show_progress(number: int, rounds: int) -> None:
    print(f"Round {number} of {rounds}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
