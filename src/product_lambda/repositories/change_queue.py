"""The FIFO queue of commands, for one request."""

from typing import Final

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.models.command import Command
from product_lambda.repositories.aws_client import Limits
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.queues import Queue

_CALL_SECONDS: Final = 1.2
_LIMITS: Final = Limits(connect_seconds=0.5, read_seconds=1.0, attempts=1)


def open_queue(url: str, region: str, endpoint_url: str | None) -> Queue:
    """Make a client for the queue with short time-outs; this sends nothing."""
    return Queue(url, region, endpoint_url, _LIMITS)


class ChangeQueue:
    """Commands to the queue; the commands of one product stay in order."""

    def __init__(self, queue: Queue, deadline: Deadline) -> None:
        self._queue = queue
        self._deadline = deadline

    def send(self, command: Command) -> None:
        """Send a command; SQS takes one with the same id within 5 minutes for the same message.

        Raises:
            DependencyUnavailableException: the queue does not accept it before the deadline; the
                command may be in the queue all the same.
        """
        self._deadline.call(
            lambda: self._queue.send(
                command.message(), group=command.product_id, deduplication_id=command.command_id
            ),
            timeout=_CALL_SECONDS,
            retry_on=(DependencyUnavailableException,),  # a repeated message is the same message
        )
