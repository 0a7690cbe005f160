"""The `Prefer` header (RFC 7240). A preference is a wish: none of them makes a request invalid."""

import re
from typing import Final

from product_lambda.utils.request import HttpRequest

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_VALUE: Final = rf"(?:[ \t]*+=[ \t]*+(?P<value>{_NAME}|{_QUOTED})?+)?+"
_PARAMETER: Final = rf"(?:{_NAME}{_VALUE.replace('?P<value>', '?:')})?+"
_PREFERENCE: Final = re.compile(
    rf"[ \t]*+(?P<name>{_NAME}){_VALUE}(?:[ \t]*+;[ \t]*+{_PARAMETER})*+[ \t]*+"
)
# A comma in a quoted string separates nothing.
_ELEMENT: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^,])*+')
_MAX_LENGTH: Final = 4096  # characters
_NO_VALUES: Final = frozenset({None, '""'})


def prefers_async(request: HttpRequest) -> bool:
    """Return whether the caller prefers 202 to waiting for the change (RFC 7240, section 4.1).

    Of several preferences with one name, the first one counts. A malformed preference and a header
    of more than 4096 characters are ignored.
    """
    header = request.headers.get("prefer", "")
    if len(header) > _MAX_LENGTH:
        return False
    for element in _ELEMENT.findall(header):
        preference = _PREFERENCE.fullmatch(element)
        if preference is not None and preference["name"].lower() == "respond-async":
            return preference["value"] in _NO_VALUES
    return False
