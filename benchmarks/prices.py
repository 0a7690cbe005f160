"""Reads the list prices in prices.json; it knows no service and computes no bill."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

PRICES_FILE = Path(__file__).parent / "prices.json"


@dataclass(frozen=True, slots=True)
class Price:
    """A list price.

    Attributes:
        usd: US dollars for one unit.
        region: where it applies: a region, a part of the world, or `all`.
        source: the price list or page that it was read in.
        published: the date of the source or of the copy of it that was read; only the year of
            reading where the source shows no date.
        free: units that cost nothing in each month.
    """

    usd: Decimal
    unit: str
    region: str
    source: str
    published: str
    free: Decimal

    def of(self, amount: Decimal) -> Decimal:
        """Return the price of an amount in one month, in US dollars."""
        return self.usd * max(amount - self.free, Decimal(0))


def read_prices(file: Path = PRICES_FILE) -> Mapping[str, Price]:
    """Return the prices by their names.

    Raises:
        KeyError: a price lacks a field.
        ArithmeticError: an amount is no decimal number.
    """
    entries = json.loads(file.read_text(encoding="utf-8"))["prices"]
    return {
        name: Price(
            Decimal(entry["usd"]),
            entry["unit"],
            entry["region"],
            entry["source"],
            entry["published"],
            Decimal(entry.get("free", "0")),
        )
        for name, entry in entries.items()
    }
