"""The Pydantic model of a command's message; the rules of products are those of the requests."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from product_lambda.models.command import Command
from product_lambda.models.product import Revision, is_timestamp
from product_lambda.models.requests import (
    CreateProductRequest,
    ProductId,
    UpdateProductRequest,
)


def _revision(value: object) -> Revision:
    """Return the revision in a list such as [3, "2026-01-31T09:30:00.123456Z"]."""
    match value:
        case [int() as version, str() as updated_at] if (
            not isinstance(version, bool) and version >= 0 and is_timestamp(updated_at)
        ):
            return Revision(version, updated_at)
    raise ValueError


_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Revision = Annotated[Any, BeforeValidator(_revision)]


class CommandMessage(BaseModel):
    """The JSON object of a command; `Command.message` writes it."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    command_version: Literal[1]
    command_id: _Id
    request_id: _Id
    operation: Literal["create", "update", "delete"]
    product_id: ProductId
    author: _Id
    draft: CreateProductRequest | None
    changes: UpdateProductRequest | None
    expected: list[_Revision] | None
    key_hash: _Hash | None
    fingerprint: _Hash | None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        has_draft, has_changes = self.draft is not None, self.changes is not None
        if (has_draft, has_changes) != (self.operation == "create", self.operation == "update"):
            raise ValueError
        if self.draft is not None and self.draft.product_id != self.product_id:
            raise ValueError
        if (self.key_hash is None) != (self.fingerprint is None):
            raise ValueError
        return self

    def command(self) -> Command:
        """Return the command."""
        return Command(
            command_id=self.command_id,
            request_id=self.request_id,
            product_id=self.product_id,
            author=self.author,
            draft=None if self.draft is None else self.draft.draft(),
            changes=None if self.changes is None else self.changes.changes(),
            expected=None if self.expected is None else frozenset(self.expected),
            key_hash=self.key_hash,
            fingerprint=self.fingerprint,
        )
