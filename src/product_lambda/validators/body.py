"""Checks of request bodies: JSON first, then the rules of the models."""

from collections import Counter
from typing import Any, Final

import simplejson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from product_lambda.exceptions import (
    FieldError,
    PayloadTooLargeException,
    ValidationException,
)
from product_lambda.models.requests import LINE_RULE
from product_lambda.utils.request import HttpRequest

MAX_BODY_BYTES: Final = 256 * 1024
_SET_BY_THE_SERVICE: Final = frozenset({"productId", "active", "version", "createdAt", "updatedAt"})


def parse_body[Body: BaseModel](request: HttpRequest, model: type[Body]) -> Body:
    """Return the body as a `model`, its numbers parsed as Decimal.

    Raises:
        PayloadTooLargeException: it is larger than 256 KiB.
        ValidationException: with every fault of the body.
    """
    if request.body is not None and len(request.body) > MAX_BODY_BYTES:
        raise PayloadTooLargeException("Send at most 256 KiB.")
    members, faults = _json_object(request.body)
    body: Body | None = None
    try:
        body = model.model_validate(members)
    except ValidationError as invalid:
        faults += [_field_error(error, model) for error in invalid.errors(include_url=False)]
    # Raised only here, where the library's error is gone: it holds the errors of our rules, those
    # hold this frame, and a cycle through the library is one that Python never finds.
    if body is None or faults:
        raise ValidationException(faults)
    return body


def _json_object(raw: bytes | None) -> tuple[dict[str, Any], list[FieldError]]:
    repeated: list[str] = []

    def members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Objects are read from the inside out: what stays is of the outermost one.
        repeated[:] = [
            name for name, times in Counter(name for name, _ in pairs).items() if times > 1
        ]
        return dict(pairs)

    try:
        document = simplejson.loads(
            (raw or b"").decode("utf-8"), use_decimal=True, object_pairs_hook=members_of
        )
        simplejson.dumps(document, use_decimal=True, ensure_ascii=False).encode("utf-8")
    except (ValueError, ArithmeticError, RecursionError):
        raise ValidationException(
            [FieldError("body", "send one JSON object in UTF-8 (RFC 8259)")]
        ) from None
    if not isinstance(document, dict):
        raise ValidationException([FieldError("body", "send a JSON object")])
    return document, [FieldError(name, "send it once") for name in repeated]


def _field_error(error: ErrorDetails, model: type[BaseModel]) -> FieldError:
    name, *inner = error["loc"] or ("body",)
    place = str(name) + "".join(f"[{part}]" for part in inner)
    rules = {field.alias: field.description for field in model.model_fields.values()}
    match error["type"]:
        case "extra_forbidden" if name in _SET_BY_THE_SERVICE:
            return FieldError(place, "is set by the service; leave it out")
        case "extra_forbidden":
            return FieldError(place, "is not a field of a product; leave it out")
        case "missing":
            return FieldError(place, f"is required; send {rules[str(name)]}")
    if name == "body":
        return FieldError(place, f"send at least one of {', '.join(map(str, rules))}")
    return FieldError(place, f"send {LINE_RULE if inner else rules[str(name)]}")
