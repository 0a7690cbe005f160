"""Values that the API rejects, by field: for creations and updates alike."""

from collections.abc import Mapping, Sequence
from typing import Final

_CONTROL_CHARACTERS: Final = "\x00\x07\x0b\r\x1b\x7f\x85\x9f"
_INVALID: Final[Mapping[str, Sequence[object]]] = {
    "name": [
        *(None, 1, True, [], {}, "", " \t\n ", "x" * 201),
        *(f"a{control}b" for control in f"{_CONTROL_CHARACTERS}\n\t"),
    ],
    "description": [
        *(None, 1, ["text"], "", "\n\t ", "x" * 4001),
        *(f"a{control}b" for control in _CONTROL_CHARACTERS),
    ],
    "period": [None, 1, "", "weekly", "Monthly", " monthly", "once_off"],
    "currency": [None, 1, "", "zar", "ZZZ", "ZA", "ZAR ", "ZARR"],
    "features": [
        *(None, [], "one", {}, ["x"] * 51, {"0": "x"}, ["fine", "x" * 201]),
        *([value] for value in (None, 1, "", "  ", "x" * 201, "a\nb", "a\x00b", ["x"])),
    ],
}
INVALID_VALUES: Final = [(field, value) for field, values in _INVALID.items() for value in values]

INVALID_IDS: Final[Sequence[object]] = [
    *(None, 1, "", "PROD-", "prod-001", "Prod-001", "PROD-001a", "PROD001"),
    *("PROD--1", "PROD-1-", "PROD-1_2", "PROD-1 2", " PROD-1", "PROD-1 ", "PROD-1\n", "PROD-1/2"),
    *("PROD-\u00c9", "PROD-\u0661", f"PROD-{'A' * 33}"),
]

READ_ONLY_OR_UNKNOWN_FIELDS: Final[Sequence[tuple[str, object]]] = [
    ("active", False),
    ("version", 1),
    ("createdAt", "2026-01-31T09:30:00.123456Z"),
    ("updatedAt", "2026-01-31T09:30:00.123456Z"),
    ("updatedBy", "me"),
    ("PK", "PRODUCT#PROD-001"),
    ("SK", "METADATA"),
    ("Name", "Basic"),
    ("colour", "red"),
    ("", 1),
]


def short_id(value: object) -> str:
    """Return a short ASCII id for a parametrized case."""
    return ascii(value)[:24]
