"""Measures one process of a function: its cold start, warm requests, CPU time and memory."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simplejson

from benchmarks.subjects import CLIENT, OURS, Subject
from tests.support.deployed_functions import deployed_environment
from tests.support.function_process import running_function
from tests.support.workload import (
    READS,
    TABLE,
    dynamodb,
    events_of,
    fill_table,
    function_environment,
)

WARM_UP = 20
"""Requests of each process that are not measured."""

_SECONDS = 60  # for a response; a twentieth of a busy CPU takes its time


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured in one process of a function, in seconds and bytes.

    Attributes:
        cold_start: from the start of the process to the first response.
        cold_cpu: CPU time of the cold start.
        cpu: CPU time per warm request.
        latencies: of the warm requests.
        first_response: the response of the cold start.
    """

    cold_start: float
    cold_cpu: float
    cpu: float
    latencies: Sequence[float]
    peak_memory: int
    first_response: Mapping[str, Any]


def observe(
    subject: Subject,
    endpoint_url: str,
    requests: int,
    *,
    warm_up: int = WARM_UP,
    prefix: Sequence[str] = (),
) -> Observation:
    """Start a function, warm it up and measure `requests` more requests.

    `prefix` is the start of a command line that executes the rest of it in the same process.

    Raises:
        SystemExit: a request failed.
    """
    count = 1 + warm_up + requests
    events = [
        json.dumps(event).encode()
        for event in itertools.islice(events_of(subject.operation), count)
    ]
    with (
        _table_for(subject, endpoint_url, count) as table,
        running_function(
            subject.function, _environment(subject, endpoint_url, table), prefix, _SECONDS
        ) as process,
    ):
        first, cold_start = process.first_response(events[0])
        cold_cpu = process.cpu_seconds()
        for event in events[1 : 1 + warm_up]:
            process.invoke(event)
        before = process.cpu_seconds()
        invocations = [process.invoke(event) for event in events[1 + warm_up :]]
        cpu = (process.cpu_seconds() - before) / requests
        peak_memory = process.peak_memory()
    for invocation in (first, *invocations):
        _require_success(subject, simplejson.loads(invocation.payload))
    return Observation(
        cold_start,
        cold_cpu,
        cpu,
        [each.received_at - each.sent_at for each in invocations],
        peak_memory,
        simplejson.loads(first.payload),
    )


@contextlib.contextmanager
def _table_for(subject: Subject, endpoint_url: str, requests: int) -> Iterator[str]:
    """Yield the shared table for reads, or a new table for one process that writes."""
    if subject.operation in READS:
        yield TABLE
        return
    table = "products-changed"
    fill_table(endpoint_url, table, 0 if subject.operation == "create" else requests)
    yield table
    dynamodb(endpoint_url).sync_delete_table(table)


def _environment(subject: Subject, endpoint_url: str, table: str) -> dict[str, str]:
    if subject.stack in {OURS, CLIENT}:
        return deployed_environment(endpoint_url, table)
    return function_environment(endpoint_url, table)


def _require_success(subject: Subject, response: Mapping[str, Any]) -> None:
    if response["statusCode"] not in {200, 201, 204}:
        raise SystemExit(
            f"{subject.operation} failed on stack {subject.stack}: correct it; it sent {response}."
        )
