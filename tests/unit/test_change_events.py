"""Change events, as the commands for operators read them."""

from decimal import Decimal

import pytest

from product_tools.change_events import Change, NotAnEventError
from tests.support.audit_trail import change_event, product_shown, text_of


def test_change_has_exact_amounts_in_words() -> None:
    old = product_shown(price=Decimal(1000), name="Basic")
    new = product_shown(price=Decimal("1299.10"), setupFee=Decimal("0.10"), version=2)
    change = Change.from_json(text_of(change_event(old, new)))
    assert change.texts == [
        'name "Basic" → "Entry"',
        "price 1000 → 1299.10",
        "setupFee none → 0.10",
    ]
    assert (change.product_id, change.version, change.kind) == ("PROD-001", 2, "changed")


def test_creation_names_values_without_obvious_ones() -> None:
    change = Change.from_json(text_of(change_event(None, product_shown(), "ProductCreated")))
    assert change.texts == [
        'name "Entry"',
        'description "One site."',
        "price 95",
        'currency "ZAR"',
        'period "yearly"',
        'features ["Five pages"]',
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after", "word"),
    [("ProductDeleted", True, False, "retired"), ("ProductRestored", False, True, "restored")],
)
def test_deletion_and_restoration_have_admins_words(
    kind: str, before: bool, after: bool, word: str  # noqa: FBT001
) -> None:
    event = change_event(product_shown(active=before), product_shown(active=after), kind)
    assert Change.from_json(text_of(event)).kind == word


def test_removal_has_no_fields_in_words() -> None:
    change = Change.from_json(text_of(change_event(product_shown(), None, "ProductRemoved")))
    assert (change.kind, change.texts) == ("removed", [])


def test_unreadable_state_before_is_named() -> None:
    change = Change.from_json(text_of(change_event(None, product_shown())))
    assert "price unreadable → 95" in change.texts


def test_author_that_nobody_knows_is_empty() -> None:
    event = change_event(None, product_shown(), changedBy=None)
    assert Change.from_json(text_of(event)).changed_by == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is no event of bbws.product"),
        ('{"source": "other"}', "it is no event of bbws.product"),
        ('{"source": "bbws.product"}', "its event is not complete (KeyError('detail'))"),
        (
            text_of({**change_event(None, product_shown()), "detail-type": "Other"}),
            "its event is not complete (KeyError('Other'))",
        ),
        (
            text_of({**change_event(None, product_shown()), "detail": []}),
            "its event is not complete",
        ),
    ],
)
def test_other_text_is_no_event_with_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(NotAnEventError) as rejected:
        Change.from_json(text)
    assert str(rejected.value).startswith(reason)
