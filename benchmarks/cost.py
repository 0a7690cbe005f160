"""`make cost`: computes what a month costs, and writes docs/cost.md.

It measures nothing: `make sizes`, `make usage` and `make edge` measure what it reads.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import cost_report
from benchmarks.cost_model import Catalogue, Inputs, Use
from benchmarks.prices import PRICES_FILE, read_prices
from benchmarks.size_costs import MEASURED_SIZES, Sizes, decided
from product_tools.repository import REPOSITORY
from tests.support.report import write_section
from tests.support.workload import READS

COST = REPOSITORY / "docs" / "cost.md"
CATALOGUES_FILE = Path(__file__).parent / "catalogues.json"
MEASURED_USAGE = MEASURED_SIZES.parent / "usage.json"
MEASURED_EDGE = MEASURED_SIZES.parent / "edge.json"
"""Written by `make edge`: requests of readers, and those of them that reached the origin."""


def main() -> int:
    """Compute, write the page and its chart, and return 0; 2 if a measurement is missing."""
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    parser.parse_args()
    for file, target in ((MEASURED_SIZES, "sizes"), (MEASURED_USAGE, "usage")):
        if not file.exists():
            print(f"{file.name} is missing: run make {target} first.", file=sys.stderr)
            return 2
    if not MEASURED_EDGE.exists():
        print(
            "edge.json is missing, so hit ratios are computed: run make edge, then make cost.",
            file=sys.stderr,
        )
    inputs, catalogues = read_inputs(), read_catalogues()
    for name, text in cost_report.sections(catalogues, inputs, read_reasons()).items():
        write_section(COST, name, text)

    from benchmarks import charts  # noqa: PLC0415 (without matplotlib, the page can be checked)

    charts.costs(catalogues, inputs)
    return 0


def read_catalogues() -> list[Catalogue]:
    """Return the catalogues of the page."""
    return [Catalogue(**entry) for entry in _document(CATALOGUES_FILE)["catalogues"]]


def read_inputs() -> Inputs:
    """Return everything else that the page depends on."""
    prices = read_prices(PRICES_FILE)
    sizes = Sizes.from_json(MEASURED_SIZES.read_text(encoding="utf-8"))
    usage = _document(MEASURED_USAGE)
    assumptions = _document(CATALOGUES_FILE)["assumptions"]
    return Inputs(
        prices=prices,
        sizes=sizes,
        memory_mb=decided(sizes, prices),
        uses=_uses(usage["operations"]),
        uses_with_indexes=_uses(usage["with_product_indexes"]),
        hit_ratios=_hit_ratios(MEASURED_EDGE),
        assumptions={name: Decimal(entry["value"]) for name, entry in assumptions.items()},
    )


def read_reasons() -> Mapping[str, Sequence[str]]:
    """Return the value and the reason of each assumption."""
    assumptions = _document(CATALOGUES_FILE)["assumptions"]
    return {name: (entry["value"], entry["reason"]) for name, entry in assumptions.items()}


def _hit_ratios(file: Path) -> dict[str, Decimal] | None:
    if not file.exists():
        return None
    operations = _document(file)["operations"]
    return {
        operation: 1
        - Decimal(operations[operation]["origin_requests"]) / operations[operation]["requests"]
        for operation in READS
    }


def _uses(entries: Mapping[str, Any]) -> dict[str, Use]:
    return {
        name: Use(
            Decimal(entry["read_units"]),
            Decimal(entry["write_units"]),
            entry["response_bytes"],
            entry["compressed_bytes"],
            entry["log_bytes"],
        )
        for name, entry in entries.items()
    }


def _document(file: Path) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
