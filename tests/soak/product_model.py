"""One product as a model for the search for an order: the contract of the API without concurrency.

The list is eventually consistent and not part of the model. Entity tags are opaque.
"""

from collections.abc import Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self

from product_lambda.models.product import Product
from tests.soak.linearizability import Operation, Violation
from tests.support.events import FunctionResponse

_SHOWN_CHARACTERS: Final = 12  # of a description: its last marker
_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000


class Fields(NamedTuple):
    """The fields that the clients write."""

    name: str
    description: str
    price: Decimal

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Return the fields of a body; others are ignored."""
        return cls(fields["name"], fields["description"], Decimal(fields["price"]))

    def __str__(self) -> str:
        return f"price {self.price}, description …{self.description[-_SHOWN_CHARACTERS:]}"


class Create(NamedTuple):
    """POST with all fields; `key` is the idempotency key."""

    fields: Fields
    key: str | None = None

    def __str__(self) -> str:
        return f"POST {self.fields}" + (f", key {self.key}" if self.key else "")


class Get(NamedTuple):
    """GET, with `If-None-Match` if there is a tag."""

    if_none_match: str | None = None

    def __str__(self) -> str:
        return "GET" + (f" If-None-Match {self.if_none_match}" if self.if_none_match else "")


class Update(NamedTuple):
    """PUT of a description, a price or both, with `If-Match` if there is a tag.

    It may also restore a deleted product.
    """

    description: str | None = None
    price: Decimal | None = None
    if_match: str | None = None
    restores: bool = False

    def changed(self, fields: Fields) -> Fields:
        """Return the fields after the update."""
        return Fields(
            fields.name,
            fields.description if self.description is None else self.description,
            fields.price if self.price is None else self.price,
        )

    def __str__(self) -> str:
        parts = ["PUT"]
        if self.price is not None:
            parts.append(f"price {self.price}")
        if self.description is not None:
            parts.append(f"description …{self.description[-_SHOWN_CHARACTERS:]}")
        if self.restores:
            parts.append("active")
        if self.if_match:
            parts.append(f"If-Match {self.if_match}")
        return " ".join(parts)


class Delete(NamedTuple):
    """DELETE, with `If-Match` if there is a tag."""

    if_match: str | None = None

    def __str__(self) -> str:
        return "DELETE" + (f" If-Match {self.if_match}" if self.if_match else "")


class Inspect(NamedTuple):
    """A read of the item in the table, which also shows a deleted product, but no entity tag."""

    def __str__(self) -> str:
        return "stored item"


type Request = Create | Get | Update | Delete | Inspect


class Response(NamedTuple):
    """What a response shows.

    Attributes:
        status: of an inspection, 410 for a deleted product.
        version: None if the response has no body, or a problem document.
        replayed: whether it repeats the response of an earlier creation.
    """

    status: int
    version: int | None = None
    tag: str | None = None
    fields: Fields | None = None
    replayed: bool = False

    @classmethod
    def of(cls, response: FunctionResponse) -> Self:
        """Return what a response of a function shows."""
        tag = response.headers.get("ETag")
        if response.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return cls(response.status, tag=tag)
        body = response.json()
        replayed = "Idempotency-Replayed" in response.headers
        return cls(response.status, body["version"], tag, Fields.of(body), replayed)

    @classmethod
    def of_item(cls, product: Product | None) -> Self:
        """Return what an inspection shows."""
        if product is None:
            return cls(HTTPStatus.NOT_FOUND)
        return cls(
            HTTPStatus.OK if product.active else HTTPStatus.GONE,
            product.version,
            fields=Fields(product.name, product.description, product.price),
        )

    def __str__(self) -> str:
        parts = [str(self.status)]
        if self.version is not None:
            parts.append(f"version {self.version}")
        if self.tag:
            parts.append(f"ETag {self.tag}")
        if self.fields:
            parts.append(str(self.fields))
        if self.replayed:
            parts.append("replayed")
        return ", ".join(parts)


type ProductOperation = Operation[Request, Response]
type ProductViolation = Violation[ProductState, Request, Response]


class ProductState(NamedTuple):
    """A product after some requests.

    Attributes:
        tags: the entity tag of each version; None for a tag that no response has shown yet. A
            product without versions does not exist.
        fields: None if the product does not exist.
        key: the idempotency key of its creation.
    """

    tags: tuple[str | None, ...] = ()
    fields: Fields | None = None
    deleted: bool = False
    key: str | None = None

    @property
    def version(self) -> int:
        """The number of changes so far; the creation is the first one."""
        return len(self.tags)

    @property
    def is_active(self) -> bool:
        """Whether reads find the product."""
        return bool(self.tags) and not self.deleted

    def with_tag(self, version: int, tag: str | None) -> "ProductState | None":
        """Return the state after a response has shown the tag of a version.

        Returns None if the version has another tag, or another version has this tag.
        """
        known = self.tags[version - 1]
        if known == tag:
            return self
        if known is not None or tag is None or tag in self.tags:
            return None
        return self._replace(tags=(*self.tags[: version - 1], tag, *self.tags[version:]))

    def can_match(self, tag: str) -> bool:
        """Return whether the product can have this tag now."""
        return self.tags[-1] == tag or (self.tags[-1] is None and tag not in self.tags)

    def can_differ(self, tag: str) -> bool:
        """Return whether the product can have another tag now."""
        return self.tags[-1] != tag

    def __str__(self) -> str:
        if not self.tags:
            return "no product"
        tag = self.tags[-1] or "unknown"
        return f"{'deleted' if self.deleted else 'active'}, version {self.version}, ETag {tag}"


class ProductModel:
    """A product whose id is never given to another one; a restoration brings it back."""

    initial = ProductState()

    def apply(
        self, state: ProductState, request: Request, response: Response | None
    ) -> ProductState | None:
        """Return the state after a request; None if the response is wrong in this state."""
        match request:
            case Create():
                return _create(state, request, response)
            case Update():
                return _update(state, request, response)
            case Delete():
                return _delete(state, request, response)
            case Get() | Inspect() if response is None:
                return state
            case Get():
                return _get(state, request, response)
            case Inspect():
                return state if _is_stored(state, response) else None

    def is_too_late(self, state: ProductState, request: Request, response: Response) -> bool:
        """Return whether the response needs an earlier version; a deletion makes a version, too."""
        if response.version is None:
            return False
        match request:
            case Create():
                return state.version > 0 and not response.replayed
            case Update():
                return state.version >= response.version
            case Inspect():
                return state.version > response.version
            case _:
                return state.version + state.deleted > response.version

    def has_no_effect(self, request: Request, response: Response) -> bool:
        """Return whether the request is a read or was rejected."""
        return isinstance(request, Get | Inspect) or response.status >= HTTPStatus.BAD_REQUEST

    def state_after(
        self, operation: ProductOperation, later: Sequence[ProductOperation]
    ) -> ProductState | None:
        """Return the state that a response with a version and a tag shows.

        It does not show the idempotency key, which the response of a later creation needs.
        """
        _, _, _, request, response = operation
        if (
            response is None
            or response.version is None
            or response.tag is None
            or response.replayed
            or any(isinstance(each.request, Create) and each.response for each in later)
        ):
            return None
        key = request.key if isinstance(request, Create) else None
        tags = (*[None] * (response.version - 1), response.tag)
        return ProductState(tags, response.fields, key=key)


def _create(state: ProductState, request: Create, response: Response | None) -> ProductState | None:
    if not state.tags:
        created = ProductState((None,), request.fields, key=request.key)
        if response is None:
            return created
        if response.status != HTTPStatus.CREATED or response.replayed:
            return None
        return _as_shown(created, response)
    if response is None:
        return state
    if request.key is None or request.key != state.key:
        return state if response.status == HTTPStatus.CONFLICT else None
    is_first_response = (
        response.status == HTTPStatus.CREATED
        and response.replayed
        and response.version == 1
        and response.fields == request.fields
    )
    return state.with_tag(1, response.tag) if is_first_response else None


def _get(state: ProductState, request: Get, response: Response) -> ProductState | None:
    known = request.if_none_match
    if not state.is_active:
        return state if response.status == HTTPStatus.NOT_FOUND else None
    if response.status == HTTPStatus.NOT_MODIFIED:
        return state.with_tag(state.version, known) if known and response.tag == known else None
    if response.status != HTTPStatus.OK or response.tag == known:
        return None
    return _as_shown(state, response)


def _update(state: ProductState, request: Update, response: Response | None) -> ProductState | None:
    if not (state.is_active or (state.deleted and request.restores)):
        return state if response is None or response.status == HTTPStatus.NOT_FOUND else None
    tag = request.if_match
    if response is not None and response.status == HTTPStatus.PRECONDITION_FAILED:
        return state if tag is not None and state.can_differ(tag) else None
    matched = _matched(state, tag)
    if matched is None:
        return state if response is None else None
    assert matched.fields
    after = matched._replace(
        tags=(*matched.tags, None), fields=request.changed(matched.fields), deleted=False
    )
    if response is None:
        return after
    return _as_shown(after, response) if response.status == HTTPStatus.OK else None


def _delete(state: ProductState, request: Delete, response: Response | None) -> ProductState | None:
    if not state.tags:
        return state if response is None or response.status == HTTPStatus.NOT_FOUND else None
    if state.deleted:
        return state if response is None or response.status == HTTPStatus.NO_CONTENT else None
    tag = request.if_match
    if response is not None and response.status == HTTPStatus.PRECONDITION_FAILED:
        return state if tag is not None and state.can_differ(tag) else None
    if response is not None and response.status != HTTPStatus.NO_CONTENT:
        return None
    matched = _matched(state, tag)
    if matched is None:
        return state if response is None else None
    return matched._replace(tags=(*matched.tags, None), deleted=True)


def _matched(state: ProductState, tag: str | None) -> ProductState | None:
    """Return the state in which a precondition holds; None if it cannot hold."""
    if tag is None:
        return state
    return state.with_tag(state.version, tag) if state.can_match(tag) else None


def _as_shown(state: ProductState, response: Response) -> ProductState | None:
    """Return the state after a response has shown all of it; None if the response differs."""
    if response.version != state.version or response.fields != state.fields:
        return None
    return state.with_tag(state.version, response.tag) if response.tag else None


def _is_stored(state: ProductState, response: Response) -> bool:
    if not state.tags:
        return response.status == HTTPStatus.NOT_FOUND
    status = HTTPStatus.GONE if state.deleted else HTTPStatus.OK
    return (response.status, response.version, response.fields) == (
        status,
        state.version,
        state.fields,
    )


def describe_violation(product_id: str, violation: ProductViolation) -> str:
    """Return a violation as lines for a person, in the order of the operations' starts."""
    history = sorted(violation.history, key=lambda each: each.started)
    origin = history[0].started if history else 0

    def milliseconds(moment: int) -> str:
        return f"{(moment - origin) / _NANOSECONDS_PER_MILLISECOND:.3f}"

    lines = [
        f"{product_id} is not linearizable: no order explains these responses.",
        f"At first: {violation.initial}"
        + (f", {violation.initial.fields}" if violation.initial.fields else ""),
        "client   start ms     end ms  request -> response",
    ]
    lines += [
        f"{each.client:>6} {milliseconds(each.started):>10} {milliseconds(each.ended):>10}"
        f"  {each.request} -> {each.response or 'unknown outcome'}"
        for each in history
    ]
    return "\n".join(lines)
