"""The message of a command: what is written can be read, and nothing else."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.models.command import Command
from product_lambda.models.product import (
    MAX_DESCRIPTION,
    MAX_FEATURES,
    MAX_LINE,
    ProductDraft,
    Revision,
)
from product_lambda.validators.commands import UnknownCommandException, parse_command
from tests.support.products import CREATED_AT, amounts, command, draft, lines, periods

SQS_LIMIT = 256 * 1024  # bytes; the limit of a message before 2025
KEYED = {"key_hash": "a" * 64, "fingerprint": "b" * 64}
CHANGES: list[dict[str, Any]] = [
    {"name": "New"},
    {"price": Decimal("0.1"), "setupFee": None},
    {"setupFee": Decimal("99999999.99"), "features": ["One"], "currency": "EUR"},
    {"description": "a\nb", "period": "monthly"},
    {"active": True},
]


def document(change: Command, **fields: object) -> str:
    """Return the message of a command with other fields; ... removes one."""
    changed = {**json.loads(change.message()), **fields}
    return json.dumps({name: value for name, value in changed.items() if value is not ...})


@pytest.mark.parametrize("keyed", [{}, KEYED])
@pytest.mark.parametrize("fee", [None, Decimal(0), Decimal("0.01"), Decimal("99999999.99")])
def test_creation_is_read_as_written(fee: Decimal | None, keyed: dict[str, str]) -> None:
    written = command(draft=draft(product_id="PROD-001", setup_fee=fee), **keyed)
    assert parse_command(written.message()) == written


@pytest.mark.parametrize(
    "expected",
    [
        None,
        frozenset(),
        frozenset({Revision(0, CREATED_AT)}),
        frozenset({Revision(3, CREATED_AT), Revision(10**15 - 1, CREATED_AT)}),
    ],
)
@pytest.mark.parametrize("changes", [None, *CHANGES])
def test_change_is_read_as_written(
    changes: dict[str, Any] | None, expected: frozenset[Revision] | None
) -> None:
    written = command(changes=changes, expected=expected)
    assert parse_command(written.message()) == written


def test_message_has_published_form() -> None:
    written = command(
        draft=draft(product_id="PROD-001", price=Decimal("19.99"), setup_fee=Decimal(1500)),
        **KEYED,
    )
    assert json.loads(written.message(), parse_float=Decimal) == {
        "commandVersion": 1,
        "commandId": "command-1",
        "requestId": "request-1",
        "operation": "create",
        "productId": "PROD-001",
        "author": "key-of-ann",
        "draft": {
            "productId": "PROD-001",
            "name": "Basic",
            "description": "One site with up to five pages.",
            "price": Decimal("19.99"),
            "setupFee": 1500,
            "currency": "ZAR",
            "period": "yearly",
            "features": ["Five pages"],
        },
        "changes": None,
        "expected": None,
        "keyHash": "a" * 64,
        "fingerprint": "b" * 64,
    }


def test_revisions_are_written_in_order() -> None:
    revisions = frozenset({Revision(3, CREATED_AT), Revision(1, CREATED_AT)})
    written = json.loads(command(expected=revisions).message())
    assert written["expected"] == [[1, CREATED_AT], [3, CREATED_AT]]
    assert written["operation"] == "delete"


@given(
    st.builds(
        ProductDraft,
        name=lines(),
        description=lines(),
        price=amounts(),
        setup_fee=st.none() | amounts(0),
        currency=st.sampled_from(["ZAR", "EUR"]),
        period=periods(),
        features=st.lists(lines(20), min_size=1, max_size=3).map(tuple),
        product_id=st.just("PROD-001"),
    )
)
def test_any_draft_is_read_as_written(new: ProductDraft) -> None:
    message = command(draft=new).message()
    # SQS rejects U+FFFE and others, which a product may contain.
    assert message.isascii()
    read = parse_command(message)
    assert read.draft == new
    assert str(read.draft.price) == str(new.price.normalize()) or read.draft.price == new.price


def test_largest_message_fits_in_queue() -> None:
    rocket = "\U0001f680"
    largest = draft(
        product_id="PROD-" + "Z" * 32,
        name=rocket * MAX_LINE,
        description=rocket * MAX_DESCRIPTION,
        features=(rocket * MAX_LINE,) * MAX_FEATURES,
    )
    written = command(
        draft=largest,
        product_id=largest.product_id,
        expected=frozenset(Revision(10**14 + n, CREATED_AT) for n in range(50)),
        **KEYED,
    )
    assert len(written.message()) < SQS_LIMIT
    assert parse_command(written.message()) == written


@pytest.mark.parametrize("text", ["", "x", "[1]", "null", "{}", '{"a": NaN}', "[" * 100_000])
def test_other_text_is_no_command(text: str) -> None:
    with pytest.raises(UnknownCommandException):
        parse_command(text)


def test_text_that_is_not_json_is_called_so() -> None:
    with pytest.raises(UnknownCommandException, match=r"^is not JSON$"):
        parse_command("{")


CREATION = command(draft=draft(product_id="PROD-001"))
UPDATE = command(changes={"name": "N"})
WRONG: dict[str, tuple[Command, dict[str, Any]]] = {
    "later version": (UPDATE, {"commandVersion": 2}),
    "no version": (UPDATE, {"commandVersion": ...}),
    "unknown field": (UPDATE, {"more": 1}),
    "unknown operation": (UPDATE, {"operation": "restore"}),
    "other operation": (UPDATE, {"operation": "delete"}),
    "update without changes": (UPDATE, {"changes": None}),
    "creation without draft": (CREATION, {"draft": None}),
    "update with draft": (UPDATE, {"draft": json.loads(CREATION.message())["draft"]}),
    "draft of other product": (CREATION, {"productId": "PROD-002"}),
    "no changes": (UPDATE, {"changes": {}}),
    "invalid change": (UPDATE, {"changes": {"price": -1}}),
    "unknown change": (UPDATE, {"changes": {"size": 1}}),
    "invalid id": (UPDATE, {"productId": "basic"}),
    "no command id": (UPDATE, {"commandId": ""}),
    "no author": (UPDATE, {"author": None}),
    "key without fingerprint": (CREATION, {"keyHash": "a" * 64}),
    "short hash": (CREATION, {"keyHash": "a", "fingerprint": "b" * 64}),
    "revision without time": (UPDATE, {"expected": [[1]]}),
    "revision with wrong time": (UPDATE, {"expected": [[1, "today"]]}),
    "revision below zero": (UPDATE, {"expected": [[-1, CREATED_AT]]}),
    "revision as a boolean": (UPDATE, {"expected": [[True, CREATED_AT]]}),
    "revision as text": (UPDATE, {"expected": ["1"]}),
}


@pytest.mark.parametrize(("base", "fields"), WRONG.values(), ids=WRONG.keys())
def test_wrong_message_is_no_command(base: Command, fields: dict[str, Any]) -> None:
    parse_command(document(base))
    with pytest.raises(UnknownCommandException):
        parse_command(document(base, **fields))


def test_error_names_fields_without_values() -> None:
    with pytest.raises(UnknownCommandException) as raised:
        parse_command(document(UPDATE, changes={"name": ""}, commandVersion=2, author=7))
    assert str(raised.value).split("; ") == [
        "commandVersion: literal_error",
        "author: string_type",
        "changes.name: string_too_short",
    ]
