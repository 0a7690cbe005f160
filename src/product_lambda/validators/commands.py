"""Checks of messages from the queue of commands."""

import simplejson
from pydantic import ValidationError

from product_lambda.models.command import Command
from product_lambda.models.command_message import CommandMessage


class UnknownCommandException(Exception):
    """A message holds no command that this version of the code understands."""


def parse_command(message: str) -> Command:
    """Return the command in a message; amounts are exact.

    Raises:
        UnknownCommandException: with every error of the message, without its values.
    """
    try:
        fields = simplejson.loads(message, use_decimal=True)
    except (ValueError, ArithmeticError, RecursionError):
        raise UnknownCommandException("is not JSON") from None
    try:
        return CommandMessage.model_validate(fields).command()
    except ValidationError as invalid:
        errors = [
            f"{'.'.join(map(str, error['loc']))}: {error['type']}"
            for error in invalid.errors(include_url=False, include_input=False)
        ]
    # Raised here because Pydantic's error would hold this frame (see `validators.body`).
    raise UnknownCommandException("; ".join(errors))
