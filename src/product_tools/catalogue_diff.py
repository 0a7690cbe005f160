"""Compares two catalogues: one that a change would start from, and one that it would lead to."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

import simplejson

from product_tools.catalogue_file import FIELDS, Product


class Difference(NamedTuple):
    """One difference between two catalogues, in words."""

    product: Product
    text: str


def differences(
    here: Mapping[str, Product], there: Mapping[str, Product], retired_there: Collection[str]
) -> Iterator[Difference]:
    """Yield every difference, by product id and in the order of the fields.

    Args:
        here: The active products of the catalogue with the new values, by id.
        there: The active products of the catalogue with the old values, by id.
        retired_there: The ids of the products that are retired there.
    """
    for product_id in sorted(here.keys() | there.keys()):
        new, old = here.get(product_id), there.get(product_id)
        if new is None:
            yield Difference(there[product_id], "only there")
        elif old is None:
            is_retired = product_id in retired_there
            yield Difference(new, "retired there" if is_retired else "only here")
        else:
            for field in FIELDS:
                if new[field] != old[field]:
                    text = f"{field} {shown_value(old[field])} → {shown_value(new[field])}"
                    yield Difference(new, text)


def shown_value(value: object) -> str:
    """Return the value of a field as people read it: `1299`, `"Basic"`, `none`."""
    match value:
        case None:
            return "none"
        case Decimal():
            return f"{value:f}"
        case _:
            return simplejson.dumps(value, ensure_ascii=False)
