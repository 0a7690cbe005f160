"""The document of a product in the search index, and the version that orders its states."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import simplejson

from product_lambda.models.product import is_product_id, is_timestamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class SearchDocument(NamedTuple):
    """One state of a product, as the search index keeps it.

    Attributes:
        product_id: the id of the document.
        version: a later state has a higher version; see `version_of`.
        fields: the content; money stays Decimal. Of a product that is not on offer only
            `productId`, `deleted` and `changedAt`.
    """

    product_id: str
    version: int
    fields: Mapping[str, Any]


def version_of(timestamp: str) -> int:
    """Return the microseconds from 1970 to a timestamp such as 2026-01-31T09:30:00.123456Z.

    OpenSearch accepts no negative version, so earlier times have version 0.
    """
    return max(0, (datetime.fromisoformat(timestamp) - _EPOCH) // _MICROSECOND)


def document_of(product: Mapping[str, Any], changed_at: str, version: int) -> SearchDocument:
    """Return the document of a product as the API shows it.

    Args:
        product: its representation; a product that is not active is not on offer.
        changed_at: the time of the change that led to this state.
        version: the version of this state.
    """
    product_id = product["productId"]
    if not product["active"]:
        return absence_of(product_id, changed_at, version)
    shown = {name: value for name, value in product.items() if name != "active"}
    return SearchDocument(product_id, version, {**shown, "deleted": False, "changedAt": changed_at})


def absence_of(product_id: str, changed_at: str, version: int) -> SearchDocument:
    """Return the document of a product that is not on offer.

    It stays in the index, so that an older change that comes late is recognized as older
    (docs/adr/0034-search-index.md).
    """
    fields = {"productId": product_id, "deleted": True, "changedAt": changed_at}
    return SearchDocument(product_id, version, fields)


def document_in(event: str) -> SearchDocument:
    """Return the document after the change in an event, as JSON text.

    Raises:
        ValueError: the text is not an event of a change.
    """
    document = simplejson.loads(event, use_decimal=True)
    detail = document.get("detail") if isinstance(document, dict) else None
    if not isinstance(detail, dict) or "after" not in detail:
        raise ValueError("The message has no detail with the product after the change.")
    product_id, changed_at = _text_in(detail, "productId"), _text_in(detail, "changedAt")
    if not (is_product_id(product_id) and is_timestamp(changed_at)):
        raise ValueError("The message has no valid productId and changedAt.")
    after = detail["after"]
    version = version_of(changed_at)
    if after is None:
        return absence_of(product_id, changed_at, version)
    is_product = isinstance(after, dict) and after.get("active") in (True, False)
    if not is_product or after.get("productId") != product_id:
        raise ValueError("The product after the change is another one, or none.")
    return document_of(after, changed_at, version)


def _text_in(detail: Mapping[str, Any], name: str) -> str:
    """Return the text under a name; empty if there is none."""
    value = detail.get(name)
    return value if isinstance(value, str) else ""
