"""Pydantic models of the bodies of writes: their rules, and the source of their JSON Schema.

Only functions with a body import this module, since Pydantic makes a cold start longer.
"""

import re
import unicodedata
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from product_lambda.models.currency import CurrencyCode
from product_lambda.models.product import (
    DEFAULT_CURRENCY,
    MAX_AMOUNT,
    MAX_DESCRIPTION,
    MAX_FEATURES,
    MAX_LINE,
    MAX_PRODUCT_ID,
    PRODUCT_ID_PATTERN,
    Period,
    ProductDraft,
    plain_decimal,
)

_CENT: Final = Decimal("0.01")
# Unicode Standard Annex #9: explicit embeddings, overrides and isolates reorder the text around.
_DIRECTION_CONTROL: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
# White space, the Braille blank, and Default_Ignorable_Code_Point (DerivedCoreProperties.txt of
# Unicode 16.0). Joiners and variation selectors are among them: next to a visible character, as in
# emoji, they are allowed.
_INVISIBLE: Final = re.compile(
    r"[\s\u2800\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)


# The checks below raise ValueErrors without a text: Pydantic collects them, and the response shows
# the rule of the field.


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError  # noqa: TRY004
    return Decimal(value)


def _amount(value: Decimal) -> Decimal:
    # Comparisons are exact; arithmetic on an exponent of any size would overflow.
    in_range = value.is_finite() and -MAX_AMOUNT <= value <= MAX_AMOUNT
    if not in_range or value != value.quantize(_CENT):
        raise ValueError
    return plain_decimal(value)


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError
    return value


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError
    return abs(value)  # -0 is a valid JSON number; it is stored and shown as 0


def _true(value: object) -> bool:
    if value is not True:
        raise ValueError
    return True


def _readable(value: str, *, allowed: str = "") -> str:
    """Reject control characters, direction controls, and text without a visible character."""
    # Printable text has neither kind of control, and isprintable() is faster than the searches.
    if not value.isprintable() and _has_controls(value, allowed):
        raise ValueError
    if _INVISIBLE.fullmatch(value):
        raise ValueError
    return value


def _has_controls(value: str, allowed: str) -> bool:
    return _DIRECTION_CONTROL.search(value) is not None or any(
        unicodedata.category(c) == "Cc" and c not in allowed for c in value
    )


# Without "multipleOf": 0.01, by which validators that compute in binary reject 19.99.
_AMOUNT_SCHEMA: Final = {"type": "number", "maximum": 99999999.99}

Price = Annotated[
    Decimal,
    BeforeValidator(_number),
    AfterValidator(_amount),
    AfterValidator(_positive),
    WithJsonSchema({**_AMOUNT_SCHEMA, "exclusiveMinimum": 0}),
]
SetupFee = Annotated[
    Decimal,
    BeforeValidator(_number),
    AfterValidator(_amount),
    AfterValidator(_not_negative),
    WithJsonSchema({**_AMOUNT_SCHEMA, "minimum": 0}),
]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LINE),
    AfterValidator(_readable),
]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_DESCRIPTION),
    AfterValidator(partial(_readable, allowed="\n\t")),
]
Restoration = Annotated[
    Literal[True],
    BeforeValidator(_true),
    WithJsonSchema({"type": "boolean", "enum": [True]}),
]
Features = Annotated[list[Line], Field(min_length=1, max_length=MAX_FEATURES)]
ProductId = Annotated[str, StringConstraints(pattern=PRODUCT_ID_PATTERN, max_length=MAX_PRODUCT_ID)]

LINE_RULE: Final = (
    "visible text of 1 to 200 characters without control or text-direction characters"
)
DESCRIPTION_RULE: Final = (
    "visible text of 1 to 4000 characters without text-direction characters or control "
    "characters other than newline and tab"
)
PRICE_RULE: Final = "a number above 0, at most 99999999.99, with at most 2 decimals"
SETUP_FEE_RULE: Final = (
    "a number from 0 to 99999999.99 with at most 2 decimals, or null for no set-up fee"
)
CURRENCY_RULE: Final = "an ISO 4217 currency code in upper case, such as ZAR"
PERIOD_RULE: Final = "monthly, yearly or once-off"
FEATURES_RULE: Final = "a list of 1 to 50 texts, each of 1 to 200 characters"
ACTIVE_RULE: Final = (
    "true to restore a deleted product, or leave it out; to delete a product, use DELETE"
)
PRODUCT_ID_RULE: Final = (
    "PROD- and up to 32 upper-case letters, digits and inner hyphens, such as PROD-001"
)


class _RequestBody(BaseModel):
    """Settings of all bodies: camel-case names, no unknown fields, no type conversion."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class CreateProductRequest(_RequestBody):
    """The body of a creation."""

    product_id: ProductId = Field(default="", description=PRODUCT_ID_RULE)
    name: Line = Field(description=LINE_RULE)
    description: Text = Field(description=DESCRIPTION_RULE)
    price: Price = Field(description=PRICE_RULE)
    setup_fee: SetupFee | None = Field(default=None, description=SETUP_FEE_RULE)
    currency: CurrencyCode = Field(default=DEFAULT_CURRENCY, description=CURRENCY_RULE)
    period: Period = Field(description=PERIOD_RULE)
    features: Features = Field(description=FEATURES_RULE)

    def draft(self) -> ProductDraft:
        """Return the input for the new product."""
        return ProductDraft(
            name=self.name,
            description=self.description,
            price=self.price,
            setup_fee=self.setup_fee,
            currency=self.currency,
            period=self.period,
            features=tuple(self.features),
            product_id=self.product_id or None,
        )


class UpdateProductRequest(_RequestBody):
    """The body of a change; fields that are not in it stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: Line = Field(default="", description=LINE_RULE)
    description: Text = Field(default="", description=DESCRIPTION_RULE)
    price: Price = Field(default=Decimal(0), description=PRICE_RULE)
    setup_fee: SetupFee | None = Field(default=None, description=SETUP_FEE_RULE)
    currency: CurrencyCode = Field(default=DEFAULT_CURRENCY, description=CURRENCY_RULE)
    period: Period = Field(default="monthly", description=PERIOD_RULE)
    features: Features = Field(default=[], description=FEATURES_RULE)
    active: Restoration = Field(default=True, description=ACTIVE_RULE)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError
        return self

    def changes(self) -> dict[str, Any]:
        """Return the body's fields by their JSON names.

        A `setupFee` of None removes the fee; `active` restores the product.
        """
        return self.model_dump(by_alias=True, exclude_unset=True)
