"""Parses the event of API Gateway into a request; validates nothing."""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple


class HttpRequest(NamedTuple):
    """One HTTP request.

    Attributes:
        headers: by lower-case name; repeated headers are joined by a comma and a space
            (RFC 9110, section 5.3).
        query: every value of every parameter, in the order given.
        path: as the caller sent it, including the stage or the domain's base path.
        body: the raw bytes; None if the event's base64 is invalid.
        api_key_id: the id of the caller's API key, not the key.
    """

    request_id: str
    api_key_id: str
    path: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: bytes | None


def parse_event(event: object) -> HttpRequest:
    """Parse a REST API proxy event; a value of a wrong type counts as missing.

    Source: Amazon API Gateway Developer Guide, "Set up Lambda proxy integrations in API Gateway".
    """
    fields = _mapping(event)
    context = _mapping(fields.get("requestContext"))
    identity = _mapping(context.get("identity"))
    headers = _multi(fields, "multiValueHeaders", "headers")
    joined: dict[str, str] = {}
    for name, values in headers.items():
        lower, value = name.lower(), ", ".join(values)
        joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
    return HttpRequest(
        request_id=_text(context.get("requestId"), "unknown"),
        api_key_id=_text(identity.get("apiKeyId"), "unknown"),
        path=_text(context.get("path"), "/products"),
        path_parameters={
            name: value
            for name, value in _mapping(fields.get("pathParameters")).items()
            if isinstance(value, str)
        },
        query=_multi(fields, "multiValueQueryStringParameters", "queryStringParameters"),
        headers=joined,
        body=_body(fields),
    )


def resource_of(event: object) -> str:
    """Return the resource of an event, such as `/products`; API Gateway sets it, not the caller."""
    return _text(_mapping(event).get("resource"), "")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default


def _multi(event: Mapping[str, object], multi: str, single: str) -> dict[str, tuple[str, ...]]:
    repeated = {
        name: texts
        for name, values in _mapping(event.get(multi)).items()
        if isinstance(values, list)
        # An inlined list is built in half the time of a generator's tuple.
        and (texts := tuple([value for value in values if isinstance(value, str)]))
    }
    if repeated:
        return repeated
    return {
        name: (value,)
        for name, value in _mapping(event.get(single)).items()
        if isinstance(value, str)
    }


def _body(event: Mapping[str, object]) -> bytes | None:
    text = _text(event.get("body"), "")
    if not event.get("isBase64Encoded"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
