"""`make soak-events`: changes on their whole way to the audit bucket, while everything fails.

Writers change products. Their changes pass the table's stream, the publisher, the bus, a queue and
the audit logger. Meanwhile the bus refuses, the bucket fails, messages are repeated and reordered,
unreadable items and messages come in between, and the engine restarts. At the end, each confirmed
change must have exactly one object.
"""

import argparse
import collections
import importlib
import json
import logging
import os
import platform
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from local.engine import REGION, Engine
from local.table import create_table
from product_lambda.repositories import product_repository
from product_lambda.repositories.product_repository import ProductTable, open_table
from product_tools import packages
from product_tools.dead_letters import QUEUES, Queue
from product_tools.functions import FUNCTIONS
from tests.soak.audit_check import differences
from tests.soak.change_writers import Ledger, Table, Writer
from tests.soak.faulty_aws import FaultyAws, faulty_aws
from tests.soak.run import stored_products
from tests.support.event_pipeline import (
    AUDIT_DEAD_LETTERS,
    AUDIT_QUEUE,
    BUS,
    PARKED_QUEUE,
    EventPipeline,
)
from tests.support.events import Functions
from tests.support.report import FIGURES, PERFORMANCE, RELIABILITY, table, write_section
from tests.support.workload import function_environment

CHANGES: Final = 12_000
FAULT_SHARE: Final = 0.25
"""The share of calls of the functions that fail, in the part with faults."""
_QUIET_SHARE: Final = 1 / 6  # of the changes, to measure the time to the object
_RESTART_SHARE: Final = 1 / 12  # of the changes, which wait in a queue during the restart
_TABLE: Final = "products-soak"
_WRITERS: Final = 4
_VISIBILITY_SECONDS: Final = 3
_IN_FLIGHT: Final = 8  # changes without an object, at most, while the time is measured
_STALLED_SECONDS: Final = 180  # without any progress: then what is missing counts as lost
_LONG_SECONDS: Final = 60
_BATCH_SECONDS: Final = 0.5  # about the time between two batches of the publisher
_GARBAGE: Final = "not an event"
_MACHINES: Final = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(slots=True)
class Figures:
    """What a run has counted.

    Attributes:
        changes: the confirmed changes.
        products: the products that they changed.
        objects: the objects in the bucket.
        invisible: the writes that changed nothing that the API shows.
        unreadable: the unreadable items that were written.
        parked: those of them that are in the queue of parked records.
        repeated: the messages that were sent a second time by the test.
        replayed: the messages of the replay of the whole archive.
        garbage: the messages without an event, all of which became dead letters.
        dead_letters: the dead letters with an event, which were given again.
        seconds: from each change to its object, in the part without faults.
        injected: how often each fault was injected.
        differences: sentences about each difference.
    """

    changes: int = 0
    products: int = 0
    objects: int = 0
    invisible: int = 0
    unreadable: int = 0
    parked: int = 0
    repeated: int = 0
    replayed: int = 0
    garbage: int = 0
    dead_letters: int = 0
    seconds: list[float] = field(default_factory=list)
    injected: collections.Counter[str] = field(default_factory=collections.Counter)
    differences: list[str] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Return a percentile of the time to the object, in seconds."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


class Soak:
    """One run.

    Args:
        engine: the engine, which runs.
        pipeline: the pipeline on it.
        aws: the server between the functions and the engine.
        functions: the functions of the API, on the table.
        seed: the seed of all decisions.
    """

    def __init__(
        self,
        engine: Engine,
        pipeline: EventPipeline,
        aws: FaultyAws,
        functions: Functions,
        seed: int,
    ) -> None:
        self.figures = Figures()
        self._engine = engine
        self._pipeline = pipeline
        self._aws = aws
        self._ledger = Ledger()
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._parked_keys: set[str] = set()
        table = pipeline.client("dynamodb")
        self._writers = [
            Writer(f"W{number}", functions, Table(table, _TABLE), self._ledger, seed + number)
            for number in range(_WRITERS)
        ]

    def run(self, changes: int, report: Callable[[str], None]) -> None:
        """Make changes in all parts of the run, and compare them with the bucket."""
        quiet, waiting = round(changes * _QUIET_SHARE), round(changes * _RESTART_SHARE)
        rest = changes - quiet - waiting
        self._write_quietly(quiet)
        report(f"{quiet:,} changes without faults")
        self._write_with_faults(rest // 2)
        report(f"{rest // 2:,} changes with faults")
        self._restart_engine(waiting)
        report(f"{waiting:,} changes that waited during a restart")
        self._write_with_faults(rest - rest // 2)
        report(f"{rest - rest // 2:,} changes with faults")
        self._replay_archive()
        report("the whole archive again")
        self._compare()

    def _write_quietly(self, changes: int) -> None:
        first = len(self._ledger.changes)
        self._write(
            changes,
            lambda: len(self._ledger.changes) - len(self._aws.stored_at) < _IN_FLIGHT,
        )
        self._drain()
        known = {
            (each.product_id, each.changed_at): each.changed_at
            for each in self._ledger.changes[first:]
            if each.changed_at
        }
        for key, stored_at in self._aws.stored_at.items():
            product_id, changed_at, _ = key.rpartition("/")[2].split("_")
            if (product_id, changed_at) in known:
                begin = datetime.fromisoformat(changed_at).timestamp()
                self.figures.seconds.append(stored_at - begin)

    def _write_with_faults(self, changes: int) -> None:
        self._aws.share = FAULT_SHARE
        ended = threading.Event()
        disturber = threading.Thread(target=self._disturb, args=(ended,))
        disturber.start()
        try:
            self._write(changes, lambda: True)
            self._write_until_each_fault_was_injected()
        finally:
            ended.set()
            disturber.join()
        self._drain()
        self._aws.share = 0
        self._drain()

    def _write_until_each_fault_was_injected(self) -> None:
        """Make some more changes: the publisher may have sent a few large batches only."""
        stop_at = time.monotonic() + _STALLED_SECONDS
        while not self._aws.has_injected_all("PutEvents") and time.monotonic() < stop_at:
            self._write(_WRITERS, lambda: True)
            time.sleep(_BATCH_SECONDS)

    def _restart_engine(self, changes: int) -> None:
        """Restart the engine while events wait in the queue of the audit logger.

        The engine's stream does not survive a restart, so all changes are on the bus before.
        """
        self._pipeline.disconnect_queue()
        before = len(self._ledger.changes)
        self._write(changes, lambda: True)
        made = len(self._ledger.changes) - before
        self._wait(lambda: self._pipeline.count(AUDIT_QUEUE), made)
        self._engine.stop()
        self._engine.start()
        self._pipeline.connect_stream()
        self._pipeline.connect_queue()
        self._drain()

    def _replay_archive(self) -> None:
        client = self._pipeline.client("events")
        now = datetime.now(UTC)
        archive = client.describe_archive(ArchiveName=BUS)
        client.start_replay(
            ReplayName="soak",
            EventSourceArn=archive["ArchiveArn"],
            EventStartTime=now - timedelta(days=1),
            EventEndTime=now + timedelta(days=1),
            Destination={"Arn": archive["EventSourceArn"]},
        )
        self.figures.replayed = archive["EventCount"]
        self._drain()

    def _write(self, changes: int, has_room: Callable[[], bool]) -> None:
        with ThreadPoolExecutor(_WRITERS) as pool:
            runs = [
                pool.submit(writer.run, -(-changes // _WRITERS), has_room)
                for writer in self._writers
            ]
            for each in runs:
                each.result()

    def _disturb(self, ended: threading.Event) -> None:
        """Hide messages of the queue for a while, repeat some of them, and send messages of others.

        A hidden message is delivered later than those after it.
        """
        client, url = self._pipeline.client("sqs"), self._pipeline.queue_url(AUDIT_QUEUE)
        while not ended.wait(self._random.uniform(0.02, 0.2)):
            hidden = client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=self._random.randint(1, 10),
                VisibilityTimeout=self._random.randint(1, _VISIBILITY_SECONDS),
            ).get("Messages", [])
            for message in hidden:
                if self._random.random() < 1 / 2:
                    client.send_message(QueueUrl=url, MessageBody=message["Body"])
                    self.figures.repeated += 1
            if self._random.random() < 1 / 3:
                client.send_message(QueueUrl=url, MessageBody=_GARBAGE)
                self.figures.garbage += 1

    def _drain(self) -> None:
        """Wait until each change has an object and no message is left; give dead letters again."""

        def remaining() -> int:
            self._give_dead_letters_again()
            missing = len(self._ledger.changes) - len(self._aws.stored_at)
            unparked = len(self._ledger.unreadable) - self._parked()
            waiting = self._pipeline.count(AUDIT_QUEUE)
            dead = self._pipeline.count(AUDIT_DEAD_LETTERS)
            return max(missing, 0) + max(unparked, 0) + waiting + dead

        self._wait(lambda: -remaining(), 0)

    def _wait(self, progress: Callable[[], int], goal: int) -> None:
        """Wait until progress reaches a goal, or changes no more."""
        best, seen_at = progress(), time.monotonic()
        while best < goal and time.monotonic() - seen_at < _STALLED_SECONDS:
            time.sleep(0.2)
            now = progress()
            if now != best:
                best, seen_at = now, time.monotonic()

    def _give_dead_letters_again(self) -> None:
        client = self._pipeline.client("sqs")
        switch = QUEUES["audit"].switch
        source = Queue(client, AUDIT_QUEUE, switch)
        dead_letters = Queue(client, AUDIT_DEAD_LETTERS, switch)
        if not dead_letters.length():
            return
        for message in dead_letters.messages():
            if message.body != _GARBAGE:
                source.send_again(message)
                self.figures.dead_letters += 1
            dead_letters.delete(message)

    def _parked(self) -> int:
        """Take parked records out of their queue, and return how many items all of them name."""
        queue = Queue(self._pipeline.client("sqs"), PARKED_QUEUE, QUEUES["parked"].switch)
        if queue.length():
            for message in queue.messages():
                self._parked_keys.add(str(json.loads(message.body)["itemKey"]))
                queue.delete(message)
        return len(self._parked_keys)

    def _compare(self) -> None:
        figures, ledger = self.figures, self._ledger
        client = self._pipeline.client("s3")
        bucket = self._pipeline.bucket
        with ThreadPoolExecutor(_WRITERS) as pool:
            keys = list(self._pipeline.keys())
            bodies = pool.map(lambda key: client.get_object(Bucket=bucket, Key=key), keys)
            objects = {key: found["Body"].read() for key, found in zip(keys, bodies, strict=True)}
        stored = stored_products(open_table(_TABLE, REGION, self._engine.endpoint_url))
        shown = {name: product.representation() for name, product in stored.items()}
        figures.changes, figures.objects = len(ledger.changes), len(objects)
        figures.products = len({each.product_id for each in ledger.changes})
        figures.invisible, figures.unreadable = ledger.invisible, len(ledger.unreadable)
        figures.parked = self._parked()
        figures.injected = self._aws.injected
        figures.differences = differences(ledger.changes, objects, shown)
        if self._parked_keys != ledger.unreadable:
            figures.differences.append("The parked records are not the unreadable items.")


@contextmanager
def running_soak(
    folder: Path, zips: Path, seed: int, functions: Callable[[ProductTable], Functions]
) -> Iterator[Soak]:
    """Yield a run on an engine of its own.

    Args:
        folder: an empty folder for the engine.
        zips: the folder of the functions' zips.
        seed: the seed of all decisions.
        functions: returns the functions of the API, on a table.
    """
    engine = Engine(folder, port=_free_port())  # the same one after its restart
    engine.start()
    try:
        create_table(engine.endpoint_url, _TABLE)
        with faulty_aws(engine.endpoint_url, seed) as aws:
            pipeline = EventPipeline(
                *(engine.endpoint_url, aws.endpoint_url, _TABLE),
                visibility_seconds=_VISIBILITY_SECONDS,
            )
            pipeline.create(zips)
            api = functions(open_table(_TABLE, REGION, engine.endpoint_url))
            yield Soak(engine, pipeline, aws, api, seed)
    finally:
        engine.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _functions_on(table: ProductTable) -> Functions:
    """Return the functions on a table, with long time-outs, since the machine may be slow."""
    os.environ.update(function_environment("http://127.0.0.1:1", _TABLE))
    handlers = {
        each: importlib.import_module(f"product_lambda.handlers.{each}") for each in FUNCTIONS
    }
    entry = vars(importlib.import_module("product_lambda.handlers.entry"))
    entry["TABLE"], entry["_DEADLINE_SECONDS"] = table, _LONG_SECONDS
    return Functions(handlers)


def summary_of(figures: Figures, seed: int, seconds: float) -> str:
    """Return the figures of a run as a Markdown list."""
    lost = sum(" was lost." in each for each in figures.differences)
    repeated = sum(" objects." in each for each in figures.differences)
    return (
        f"- {figures.changes:,} confirmed changes of {figures.products:,} products by {_WRITERS}"
        f" writers at once, in {seconds:,.0f} seconds; seed {seed}\n"
        f"- {figures.injected.total() - figures.injected['passed on']:,} faults of"
        f" {figures.injected.total():,} calls, {figures.repeated:,} repeated messages, and"
        f" {figures.replayed:,} of a replay of the whole archive\n"
        f"- {figures.unreadable:,} unreadable items, of which {figures.parked:,} are parked;"
        f" {figures.garbage:,} messages without an event\n"
        f"- {figures.dead_letters:,} dead letters, given again by the operators' code; one restart"
        " of the engine\n"
        f"- {figures.objects:,} objects: **{lost:,} lost**, **{repeated:,} repeated**\n"
        f"- **{len(figures.differences):,} differences** between the writers' records, the bucket"
        " and the table"
    )


def main() -> int:
    """Run the soak test; return 1 if the bucket differs from the records of the writers."""
    parser = argparse.ArgumentParser(prog="make soak-events", description=__doc__)
    parser.add_argument(
        "--changes",
        type=int,
        default=CHANGES,
        help="number of changes; fewer than the default leave the documents unchanged",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="seed of changes and faults",
    )
    options = parser.parse_args()

    logging.disable(logging.CRITICAL)  # a line for each request
    print(f"Seed {options.seed}: {options.changes:,} changes by {_WRITERS} writers.", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages.build(_MACHINES[platform.machine()], folder / "zips")
        started = time.monotonic()

        def report(part: str) -> None:
            print(f"{time.monotonic() - started:.0f} seconds: {part}.", flush=True)

        for limit in ("_CONNECT_SECONDS", "_READ_SECONDS", "_CALL_SECONDS"):
            vars(product_repository)[limit] = _LONG_SECONDS
        with running_soak(folder / "engine", folder / "zips", options.seed, _functions_on) as soak:
            soak.run(options.changes, report)
    figures = soak.figures
    for sentence in figures.differences[:20]:
        print(sentence)
    summary = summary_of(figures, options.seed, time.monotonic() - started)
    print(summary.replace("*", ""))
    print(latency_of(figures))
    if options.changes >= CHANGES:
        write_section(RELIABILITY, "soak-events", summary)
        write_section(PERFORMANCE, "soak-events", latency_of(figures))
        write_section(FIGURES, "soak-events", table(("calls", "count"), _rows(figures.injected)))
    return 1 if figures.differences else 0


def latency_of(figures: Figures) -> str:
    """Return the time from a change to its object as a Markdown table."""
    names = ("p50", "p95", "p99")
    values = [f"{1000 * figures.percentile(int(name[1:])):,.0f}" for name in names]
    heads = ("from the write to the object, ms", *names)
    return table(heads, [(f"{len(figures.seconds):,} changes without faults", *values)])


def _rows(counts: collections.Counter[str]) -> Sequence[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counts.most_common()]


if __name__ == "__main__":
    sys.exit(main())
