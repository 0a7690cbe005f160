"""Turns the bills of docs/cost.md into tables and sentences; it computes no bill."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from benchmarks.cost_model import (
    PARTS,
    SNAPSTART,
    TRANSFER,
    VARIABLES,
    Catalogue,
    Inputs,
    Switches,
    best_cut,
    bill,
    dearest,
    expected_hit_ratio,
    total,
)
from benchmarks.prices import Price
from benchmarks.size_costs import SIZES
from tests.support.report import table

_COLUMNS = 100
_OPTIONS = {
    "change_events": "change events",
    "audit_log": "audit trail, with change events",
    "edge_cache": "edge cache, with change events",
    "search_index": "search index, with change events",
    "async_writes": "asynchronous writes, all of them",
    "product_indexes": "product indexes",
    "firewall": "the firewall off",
    "snapstart": "SnapStart off",
}


def sections(
    catalogues: Sequence[Catalogue], inputs: Inputs, reasons: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the texts of the page by the names of their sections.

    `reasons` has the value and the reason of each assumption.
    """
    return {
        "totals": _totals(catalogues, inputs),
        "switches": _switches(catalogues, inputs),
        "parts": _parts(catalogues, inputs),
        "prices": _prices(inputs.prices),
        "assumptions": _assumptions(reasons),
    }


def _totals(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    rows = []
    sentences = []
    for catalogue in catalogues:
        parts = bill(catalogue, Switches(), inputs)
        rows.append(
            (
                catalogue.name,
                f"{catalogue.products:,}",
                f"{catalogue.reads:,}",
                f"{catalogue.changes:,}",
                f"**{_usd(total(parts))}**",
            )
        )
        sentences.append(_wrapped(f"- {_sentence(catalogue, parts, inputs)}", "  "))
    heads = ("catalogue", "products", "reads a month", "changes a month", "USD a month")
    return f"{table(heads, rows)}\n\n" + "\n".join(sentences)


def _sentence(catalogue: Catalogue, parts: Mapping[str, Decimal], inputs: Inputs) -> str:
    part = dearest(parts)
    share = parts[part] / total(parts)
    start = (
        f"**{catalogue.name[0].upper()}{catalogue.name[1:]}**: the dearest part is {part},"
        f" {_usd(parts[part])} or {share:.0%}."
    )
    cut = best_cut(catalogue, part, inputs)
    if cut is None:
        return f"{start} No switch takes a tenth off it."
    variable = f"`{VARIABLES[cut.switch]} = {str(cut.value).lower()}`"
    return (
        f"{start} {variable} makes it {_usd(cut.part_usd)}, and the total"
        f" {_usd(cut.total_usd)}."
    )


def _switches(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    base = Switches()
    rows = []
    for name, label in _OPTIONS.items():
        switched = replace(base, **{name: not getattr(base, name)})
        differences = [
            total(bill(each, switched, inputs)) - total(bill(each, base, inputs))
            for each in catalogues
        ]
        rows.append((label, *(f"{each:+,.2f}" for each in differences)))
    text = table(("switch", *(each.name for each in catalogues)), rows)
    notes = (
        _snapstart_text(catalogues, inputs),
        _compression_text(catalogues, inputs),
        _hit_ratio_text(catalogues, inputs),
    )
    return "\n\n".join((text, *map(_wrapped, notes)))


def _snapstart_text(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    """Return what SnapStart costs in the smallest size, since it bills memory."""
    smallest = replace(inputs, memory_mb=SIZES[0])
    costs = ", ".join(
        f"{_usd(bill(each, Switches(), smallest)[SNAPSTART])} for {each.name}"
        for each in catalogues
    )
    return (
        f"SnapStart bills memory, also without requests. With `memory_size = {SIZES[0]}` instead of"
        f" {inputs.memory_mb} it would cost {costs}."
    )


def _compression_text(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    """Return what data transfer costs with and without compressed responses."""
    plain = replace(
        inputs, assumptions={**inputs.assumptions, "compressed_from_bytes": Decimal("Infinity")}
    )
    costs = ", ".join(
        f"{_usd(bill(each, Switches(), inputs)[TRANSFER])} instead of"
        f" {_usd(bill(each, Switches(), plain)[TRANSFER])} for {each.name}"
        for each in catalogues
    )
    return f"The gateway compresses responses, so that their transfer costs {costs}."


def _hit_ratio_text(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    """Return what is known of the hit ratio of the list."""
    seconds = inputs.assumptions["edge_cache_seconds"]
    expected = ", ".join(
        f"{expected_hit_ratio(_list_rate(each, inputs), seconds):.1%} for {each.name}"
        for each in catalogues
    )
    computed = (
        "A cache that keeps a page for"
        f" {seconds} seconds in one place answers this share of list reads: {expected}."
    )
    if inputs.hit_ratios is None:
        return f"{computed} No ratio has been measured yet, so these count."
    measured = ", ".join(f"{ratio:.1%} of {name}" for name, ratio in inputs.hit_ratios.items())
    return f"{computed} `make edge` measured {measured} reads. The lower of both counts."


def _list_rate(catalogue: Catalogue, inputs: Inputs) -> Decimal:
    return Decimal(catalogue.reads) / 3 / inputs.assumptions["month_seconds"]


def _parts(catalogues: Sequence[Catalogue], inputs: Inputs) -> str:
    bills = [bill(each, Switches(), inputs) for each in catalogues]
    everything = Switches(
        change_events=True,
        audit_log=True,
        edge_cache=True,
        search_index=True,
        async_writes=True,
        product_indexes=True,
    )
    full = [bill(each, everything, inputs) for each in catalogues]
    rows = [
        (part, *(_usd(each[part]) for each in bills), *(_usd(each[part]) for each in full))
        for part in PARTS
    ]
    rows.append(
        ("**total**", *(f"**{_usd(total(each))}**" for each in (*bills, *full))),
    )
    names = [each.name for each in catalogues]
    return table(("USD a month", *names, *(f"{name}, all on" for name in names)), rows)


def _prices(prices: Mapping[str, Price]) -> str:
    rows = [
        (
            f"`{name}`",
            f"{price.usd:f}",
            price.unit,
            price.region,
            f"{price.source}; {price.published}",
        )
        for name, price in prices.items()
    ]
    return table(("price", "USD", "for one", "region", "source"), rows)


def _assumptions(reasons: Mapping[str, Sequence[str]]) -> str:
    rows = [(f"`{name}`", value, reason) for name, (value, reason) in reasons.items()]
    return table(("assumption", "value", "reason"), rows)


def _wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph or a list item in lines as long as those of the documents."""
    return textwrap.fill(text, _COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"
