"""Checks of request bodies: first the JSON, then the rules of the models."""

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
_READ_ONLY_FIELDS: Final = frozenset({"productId", "active", "version", "createdAt", "updatedAt"})


def parse_body[Body: BaseModel](request: HttpRequest, model: type[Body]) -> Body:
    """Return the body as a `model`; numbers are parsed as Decimal.

    Raises:
        PayloadTooLargeException: it is larger than 256 KiB.
        ValidationException: with every error of the body.
    """
    if request.body is not None and len(request.body) > MAX_BODY_BYTES:
        raise PayloadTooLargeException("Send at most 256 KiB.")
    fields, errors = _json_object(request.body)
    body: Body | None = None
    try:
        body = model.model_validate(fields)
    except ValidationError as invalid:
        errors += [_field_error(error, model) for error in invalid.errors(include_url=False)]
    # Raised here because raising inside `except` leaks memory: Pydantic's error would hold this
    # frame, and the garbage collector cannot see that reference.
    if body is None or errors:
        raise ValidationException(errors)
    return body


def _json_object(raw: bytes | None) -> tuple[dict[str, Any], list[FieldError]]:
    repeated: list[str] = []

    def fields_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # The parser calls this for inner objects first, so the outermost object sets the result.
        fields = dict(pairs)
        repeated[:] = () if len(fields) == len(pairs) else _repeated_names(pairs)
        return fields

    try:
        text = (raw or b"").decode("utf-8")
        document = simplejson.loads(text, use_decimal=True, object_pairs_hook=fields_of)
        if "\\u" in text:  # an escape may be half of a surrogate pair, which has no UTF-8
            simplejson.dumps(document, use_decimal=True, ensure_ascii=False).encode("utf-8")
    except (ValueError, ArithmeticError, RecursionError):
        raise ValidationException(
            [FieldError("body", "send one JSON object in UTF-8 (RFC 8259)")]
        ) from None
    if not isinstance(document, dict):
        raise ValidationException([FieldError("body", "send a JSON object")])
    return document, [FieldError(name, "send it once") for name in repeated]


def _repeated_names(pairs: list[tuple[str, Any]]) -> list[str]:
    return [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def _field_error(error: ErrorDetails, model: type[BaseModel]) -> FieldError:
    name, *inner = error["loc"] or ("body",)
    path = str(name) + "".join(f"[{part}]" for part in inner)
    rules = {field.alias: field.description for field in model.model_fields.values()}
    match error["type"]:
        case "extra_forbidden" if name in _READ_ONLY_FIELDS:
            return FieldError(path, "is set by the service; leave it out")
        case "extra_forbidden":
            return FieldError(path, "is not a field of a product; leave it out")
        case "missing":
            return FieldError(path, f"is required; send {rules[str(name)]}")
    if name == "body":
        return FieldError(path, f"send at least one of {', '.join(map(str, rules))}")
    return FieldError(path, f"send {LINE_RULE if inner else rules[str(name)]}")
