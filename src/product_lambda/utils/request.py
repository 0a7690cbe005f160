"""A request as API Gateway hands it to a function, made safe to read; it judges no value."""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple


class HttpRequest(NamedTuple):
    """One HTTP request.

    Attributes:
        headers: by lower-case name; several lines of one name are joined by a comma and a space
            (RFC 9110, section 5.3).
        query: every value of every parameter, in the order given.
        path: as the caller sent it, the stage or the domain's base path included.
        body: the raw bytes; None where the gateway's base64 is broken.
        api_key_id: the id of the caller's API key, never the key itself.
    """

    request_id: str
    api_key_id: str
    path: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: bytes | None


def parse_event(event: object) -> HttpRequest:
    """Translate a REST API proxy event; whatever is missing or of another type counts as absent.

    Source: Amazon API Gateway Developer Guide, "Set up Lambda proxy integrations in API Gateway".
    """
    members = _mapping(event)
    context = _mapping(members.get("requestContext"))
    identity = _mapping(context.get("identity"))
    headers = _multi(members, "multiValueHeaders", "headers")
    joined: dict[str, str] = {}
    for name, values in headers.items():
        lower = name.lower()
        earlier = (joined[lower],) if lower in joined else ()
        joined[lower] = ", ".join((*earlier, *values))
    return HttpRequest(
        request_id=_text(context.get("requestId"), "unknown"),
        api_key_id=_text(identity.get("apiKeyId"), "unknown"),
        path=_text(context.get("path"), "/products"),
        path_parameters={
            name: value
            for name, value in _mapping(members.get("pathParameters")).items()
            if isinstance(value, str)
        },
        query=_multi(members, "multiValueQueryStringParameters", "queryStringParameters"),
        headers=joined,
        body=_body(members),
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default


def _multi(event: Mapping[str, object], multi: str, single: str) -> dict[str, tuple[str, ...]]:
    several = {
        name: tuple(value for value in values if isinstance(value, str))
        for name, values in _mapping(event.get(multi)).items()
        if isinstance(values, list)
    }
    if several:
        return several
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
