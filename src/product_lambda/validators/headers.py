"""Checks of request headers: entity tags, the idempotency key, the content type."""

import re
from typing import Final, NamedTuple

from product_lambda.exceptions import (
    FieldError,
    UnsupportedMediaTypeException,
    ValidationException,
)
from product_lambda.utils.request import HttpRequest

# RFC 9110, section 8.8.3: entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE
_ENTITY_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ENTITY_TAGS: Final = re.compile(
    rf"[ \t]*+(?:{_ENTITY_TAG})?(?:[ \t]*+,[ \t]*+(?:{_ENTITY_TAG})?)*+[ \t]*+"
)
_ONE_TAG: Final = re.compile(_ENTITY_TAG)
_VERSION_TAG: Final = re.compile(r'"(0|[1-9][0-9]{0,14})"')
_MAX_TAGS: Final = 50
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_JSON: Final = re.compile(r"application/json[ \t]*(;.*)?", re.IGNORECASE)
_ANYTHING: Final = "*"


class EntityTags(NamedTuple):
    """The tags of `If-Match` or `If-None-Match`; `*` matches any tag."""

    tags: frozenset[str]

    @property
    def matches_any(self) -> bool:
        """Whether the header is `*`."""
        return _ANYTHING in self.tags

    def weakly_match(self, entity_tag: str) -> bool:
        """Return whether a tag is equal by weak comparison (RFC 9110, section 13.1.2)."""
        return self.matches_any or entity_tag in {tag.removeprefix("W/") for tag in self.tags}

    def versions(self) -> frozenset[int]:
        """Return the versions in strong tags; strong comparison ignores weak tags."""
        found = (_VERSION_TAG.fullmatch(tag) for tag in self.tags)
        return frozenset(int(match[1]) for match in found if match)


def parse_if_match(request: HttpRequest) -> frozenset[int] | None:
    """Return the versions that `If-Match` accepts; None if it is `*` or missing.

    Raises:
        ValidationException: the header is malformed.
    """
    tags = _entity_tags(request, "If-Match")
    return None if tags is None or tags.matches_any else tags.versions()


def parse_if_none_match(request: HttpRequest) -> EntityTags:
    """Return the tags of `If-None-Match`; no tags if it is missing.

    Raises:
        ValidationException: the header is malformed.
    """
    return _entity_tags(request, "If-None-Match") or EntityTags(frozenset())


def parse_idempotency_key(request: HttpRequest) -> str | None:
    """Return the idempotency key; None if it is missing.

    Raises:
        ValidationException: it is not 1 to 255 visible ASCII characters.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise ValidationException(
            [FieldError("Idempotency-Key", "send 1 to 255 visible ASCII characters, once")]
        )
    return key


def require_json(request: HttpRequest) -> None:
    """Check the media type of the body.

    Raises:
        UnsupportedMediaTypeException: `Content-Type` is present and is not application/json.
    """
    if not _JSON.fullmatch(request.headers.get("content-type", "application/json")):
        raise UnsupportedMediaTypeException


def _entity_tags(request: HttpRequest, name: str) -> EntityTags | None:
    value = request.headers.get(name.lower())
    if value is None:
        return None
    if value.strip(" \t") == _ANYTHING:
        return EntityTags(frozenset({_ANYTHING}))
    tags = frozenset(_ONE_TAG.findall(value))
    if not _ENTITY_TAGS.fullmatch(value) or not 0 < len(tags) <= _MAX_TAGS:
        raise ValidationException(
            [FieldError(name, f'send * or up to {_MAX_TAGS} entity tags, such as "3"')]
        )
    return EntityTags(tags)
