"""Checks of request headers: entity tags, the idempotency key, the content type."""

import re
from typing import Final, NamedTuple

from product_lambda.exceptions import (
    FieldError,
    UnsupportedMediaTypeException,
    ValidationException,
)
from product_lambda.models.product import Revision
from product_lambda.utils.request import HttpRequest
from product_lambda.validators.combined import validate_all

# RFC 9110, section 8.8.3: entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE
_ENTITY_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ENTITY_TAGS: Final = re.compile(
    rf"[ \t]*+(?:{_ENTITY_TAG})?(?:[ \t]*+,[ \t]*+(?:{_ENTITY_TAG})?)*+[ \t]*+"
)
_ONE_TAG: Final = re.compile(_ENTITY_TAG)
# As `utils.response_builder.entity_tag` writes it.
_PRODUCT_TAG: Final = re.compile(
    r'"(0|[1-9][0-9]{0,14})-([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{6})"'
)
_MAX_TAGS: Final = 50
_MAX_TAGS_LENGTH: Final = 4096  # characters
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_JSON: Final = re.compile(r"application/json[ \t]*(;.*)?", re.IGNORECASE)
_NO_CODING: Final = "identity"
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

    def revisions(self) -> frozenset[Revision]:
        """Return the revisions in strong tags; strong comparison ignores weak tags."""
        found = (_PRODUCT_TAG.fullmatch(tag) for tag in self.tags)
        return frozenset(_revision(match) for match in found if match)


def parse_precondition(request: HttpRequest) -> frozenset[Revision] | None:
    """Return the revisions that a write may change; None if it may change any.

    `If-None-Match: *` allows none, since a write needs a product that exists.

    Raises:
        ValidationException: a header is malformed.
    """
    if_match, if_none_match = validate_all(
        lambda: _entity_tags(request, "If-Match"), lambda: parse_if_none_match(request)
    )
    if if_none_match.matches_any:
        return frozenset()
    return None if if_match is None or if_match.matches_any else if_match.revisions()


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
    """Check the media type and the coding of the body.

    Raises:
        UnsupportedMediaTypeException: `Content-Type` is present and is not application/json, or
            `Content-Encoding` names a coding (RFC 9110, section 15.5.16).
    """
    media_type = request.headers.get("content-type", "application/json")
    coding = request.headers.get("content-encoding", _NO_CODING)
    if not _JSON.fullmatch(media_type) or coding.strip().lower() not in {"", _NO_CODING}:
        raise UnsupportedMediaTypeException


def _entity_tags(request: HttpRequest, name: str) -> EntityTags | None:
    value = request.headers.get(name.lower())
    if value is None:
        return None
    if value.strip(" \t") == _ANYTHING:
        return EntityTags(frozenset({_ANYTHING}))
    is_list = len(value) <= _MAX_TAGS_LENGTH and _ENTITY_TAGS.fullmatch(value)
    tags = frozenset(_ONE_TAG.findall(value) if is_list else ())
    if not 0 < len(tags) <= _MAX_TAGS:
        raise ValidationException(
            [
                FieldError(
                    name,
                    f'send * or up to {_MAX_TAGS} entity tags, such as "3-20260131093000123456"',
                )
            ]
        )
    return EntityTags(tags)


def _revision(tag: re.Match[str]) -> Revision:
    version, year, month, day, hour, minute, second, micros = tag.groups()
    return Revision(int(version), f"{year}-{month}-{day}T{hour}:{minute}:{second}.{micros}Z")
