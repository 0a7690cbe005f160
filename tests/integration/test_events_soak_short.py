"""A short soak of the change events: some hundred changes on their whole way, with all faults.

`make soak-events` runs many more. Damaged buckets show that the comparison detects what it should.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from product_lambda.repositories.product_repository import ProductTable
from product_tools import packages
from tests.soak.audit_check import differences
from tests.soak.change_writers import Confirmed
from tests.soak.run_events import Figures, latency_of, running_soak, summary_of
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.events import Functions

SEED = 20_260_131
CHANGES = 120
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@pytest.mark.timeout(900)
def test_each_change_has_one_object_after_faults_and_restart(
    tmp_path: Path, imported_functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.build(ARCHITECTURES[platform.machine()], tmp_path / "zips")

    def functions_on(table: ProductTable) -> Functions:
        monkeypatch.setattr("product_lambda.handlers.entry.TABLE", table)
        return imported_functions

    with running_soak(tmp_path / "engine", tmp_path / "zips", SEED, functions_on) as soak:
        soak.run(CHANGES, lambda _: None)

    figures = soak.figures
    assert figures.differences == []
    assert figures.objects == figures.changes >= CHANGES
    assert figures.injected["the bus refuses some events"]
    assert figures.injected["the bucket has the object, but its response is lost"]
    assert figures.parked == figures.unreadable > 0
    assert figures.replayed > CHANGES
    assert len(figures.seconds) > 0


# --- The comparison

CREATED = product_shown()
CHANGED = product_shown(version=2, price=99, updatedAt="2026-01-31T10:00:00.000000Z")
EVENTS = (
    change_event(None, CREATED, "ProductCreated", changeId="a"),
    change_event(CREATED, CHANGED, changeId="b"),
)
CHANGES_MADE = [
    Confirmed("PROD-001", 1, "ProductCreated", CREATED["updatedAt"]),
    Confirmed("PROD-001", 2, "ProductUpdated", CHANGED["updatedAt"]),
]


def objects_of(*events: dict[str, Any]) -> dict[str, bytes]:
    """Return the objects that hold these events."""
    objects = {}
    for event in events:
        detail = event["detail"]
        name = f"{detail['productId']}_{detail['changedAt']}_{detail['changeId']}.json"
        day = detail["changedAt"][:10].replace("-", "/")
        objects[f"{day}/{name}"] = text_of(event).encode()
    return objects


def found(
    objects: dict[str, bytes],
    changes: list[Confirmed] = CHANGES_MADE,
    stored: dict[str, Any] | None = None,
) -> list[str]:
    return differences(changes, objects, {"PROD-001": CHANGED} if stored is None else stored)


def test_equal_bucket_has_no_differences() -> None:
    assert found(objects_of(*EVENTS)) == []


def test_removed_product_has_no_differences() -> None:
    removal = change_event(CHANGED, None, "ProductRemoved", changeId="c")
    removed = Confirmed("PROD-001", 2, "ProductRemoved", "")

    assert found(objects_of(*EVENTS, removal), [*CHANGES_MADE, removed], stored={}) == []


@pytest.mark.parametrize(
    ("objects", "difference"),
    [
        (lambda: objects_of(EVENTS[0]), "ProductUpdated of PROD-001, version 2, was lost."),
        (
            lambda: objects_of(*EVENTS, change_event(CREATED, CHANGED, changeId="c")),
            "ProductUpdated of PROD-001, version 2, has 2 objects.",
        ),
        (
            lambda: objects_of(*EVENTS, change_event(CHANGED, {**CHANGED, "version": 3})),
            "ProductUpdated of PROD-001, version 3, is in the bucket, but nobody made it.",
        ),
        (
            lambda: objects_of(
                EVENTS[0],
                change_event(CREATED, CHANGED, changedAt="2026-01-31T10:00:00.000001Z"),
            ),
            "has another time than 2026-01-31T10:00:00.000000Z.",
        ),
        (
            lambda: objects_of(EVENTS[0], change_event({**CREATED, "price": 1}, CHANGED)),
            "PROD-001 has a gap before version 2.",
        ),
        (
            lambda: objects_of(EVENTS[0], change_event(CREATED, {**CHANGED, "price": 1})),
            "PROD-001 differs from its last event.",
        ),
        (
            lambda: {**objects_of(EVENTS[0]), "other": text_of(EVENTS[1]).encode()},
            "other should have the key 2026/01/31/PROD-001_2026-01-31T10:00:00.000000Z_b.json.",
        ),
    ],
    ids=["lost", "repeated", "unknown", "time", "gap", "last", "key"],
)
def test_damaged_bucket_is_reported(
    objects: Callable[[], dict[str, bytes]], difference: str
) -> None:
    assert difference in " ".join(found(objects()))


def test_summary_names_what_was_lost_and_repeated() -> None:
    figures = Figures(
        changes=12_345,
        products=1_234,
        objects=12_344,
        seconds=[0.1, 0.2, 0.3],
        differences=[
            "ProductUpdated of PROD-001, version 2, was lost.",
            "ProductUpdated of PROD-001, version 3, has 2 objects.",
        ],
    )

    summary = summary_of(figures, 999_999, 1234.5)

    assert "**1 lost**, **1 repeated**" in summary
    assert "- **2 differences**" in summary
    assert latency_of(figures).endswith("| 3 changes without faults | 200 | 290 | 298 |")
