"""The document of a product in the search index, and its version."""

from decimal import Decimal

import pytest

from product_lambda.models.search_document import (
    absence_of,
    document_in,
    document_of,
    version_of,
)
from tests.support.audit_trail import change_event, product_shown, text_of

MOMENT = "2026-01-31T09:30:00.123456Z"
VERSION = 1769851800123456


@pytest.mark.parametrize(
    ("timestamp", "version"),
    [
        ("1970-01-01T00:00:00.000000Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        (MOMENT, VERSION),
        ("9999-12-31T23:59:59.999999Z", 253402300799999999),
        ("1969-12-31T23:59:59.999999Z", 0),
        ("0001-01-01T00:00:00.000000Z", 0),
    ],
)
def test_version_is_microseconds_since_1970(timestamp: str, version: int) -> None:
    assert version_of(timestamp) == version


def test_document_of_product_on_offer_has_its_fields() -> None:
    product = product_shown(price=Decimal("19.99"), setupFee=Decimal("0.01"))

    document = document_of(product, MOMENT, 7)

    del product["active"]
    assert document == ("PROD-001", 7, {**product, "deleted": False, "changedAt": MOMENT})


def test_document_of_deleted_product_has_no_content() -> None:
    document = document_of(product_shown(active=False), MOMENT, 7)

    assert document == absence_of("PROD-001", MOMENT, 7)
    assert document.fields == {"productId": "PROD-001", "deleted": True, "changedAt": MOMENT}


def test_event_of_change_becomes_document_after_it() -> None:
    before, after = product_shown(), product_shown(name="After", price=Decimal("95.10"))
    text = text_of(change_event(before, after, changedAt=MOMENT))

    assert document_in(text) == document_of(after, MOMENT, VERSION)


def test_event_of_removal_becomes_absence() -> None:
    text = text_of(change_event(product_shown(), None, "ProductRemoved", changedAt=MOMENT))

    assert document_in(text) == absence_of("PROD-001", MOMENT, VERSION)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "The message has no detail with the product after the change."),
        ('{"detail": {}}', "The message has no detail with the product after the change."),
        ('{"detail": {"after": null}}', "The message has no valid productId and changedAt."),
        (
            '{"detail": {"after": null, "productId": "PROD-1", "changedAt": 1}}',
            "The message has no valid productId and changedAt.",
        ),
        (
            f'{{"detail": {{"after": {{}}, "productId": "PROD-1", "changedAt": "{MOMENT}"}}}}',
            "The product after the change is another one, or none.",
        ),
    ],
)
def test_reason_says_what_an_event_lacks(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace(".", r"\.") + "$"):
        document_in(text)
