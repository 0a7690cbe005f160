"""Batches of the queue of commands, as Lambda gives them to the function, and its responses."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from product_lambda.models.command import Command


class Context(NamedTuple):
    """Lambda's context object, as far as functions use it."""

    milliseconds: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def message(message_id: str, group: str, body: str) -> dict[str, Any]:
    """Return one message of a batch.

    Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", example of a FIFO queue.
    """
    return {
        "messageId": message_id,
        "receiptHandle": f"handle of {message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": group},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:bbws-product-change-dev.fifo",
        "awsRegion": "eu-west-1",
    }


def batch_of(commands: Sequence[Command]) -> dict[str, Any]:
    """Return the event of a batch; the id of a message is that of its command."""
    return {
        "Records": [
            message(command.command_id, command.product_id, command.message())
            for command in commands
        ]
    }


def failed_in(response: Any) -> list[str]:
    """Return the ids of the messages that failed, in the response of a function."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
