"""Gives a message that nobody has processed to its function again, by a queue or by a call.

It deletes nothing: the caller deletes a message after it was given.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from product_tools.dead_letters import QUEUES, Message, Queue
from product_tools.publisher import Publisher, Record, RecordsGoneError
from product_tools.unprocessed import STREAM_FAILURES, document

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class NothingToGiveError(Exception):
    """A message holds nothing that a function could get; the text is a sentence with the cause."""


class Target(Protocol):
    """What gets the messages.

    Attributes:
        name: the name of the queue or function.
        takes_back: whether a message can come back at once, so that all must be read beforehand.
    """

    name: str
    takes_back: bool

    def records(self, message: Message) -> Sequence[Record]:
        """Return the records of a message that a function gets without a queue.

        Raises:
            NothingToGiveError: there are none.
            PublisherError: the stream cannot be read.
        """

    def give(self, message: Message, records: Sequence[Record]) -> None:
        """Give a message, whose records are known; after the return it has arrived.

        Raises:
            QueueError, PublisherError: it may not have arrived.
        """

    def has_given(self, message: Message) -> bool:
        """Return whether this message is one that this target got before, and that came back."""


class SourceQueue:
    """The queue that dead letters come from."""

    takes_back = False

    def __init__(self, queue: Queue) -> None:
        self.name = queue.name
        self._queue = queue
        self._sent: set[str] = set()

    def records(self, message: Message) -> Sequence[Record]:  # noqa: ARG002 (a queue needs none)
        """Return no records."""
        return ()

    def give(self, message: Message, records: Sequence[Record]) -> None:  # noqa: ARG002
        """Send a message."""
        self._sent.add(self._queue.send_again(message))

    def has_given(self, message: Message) -> bool:
        """Return whether this run has sent the message, and it is a dead letter again."""
        return message.message_id in self._sent


class PublisherTarget:
    """The function `change_publisher`, for parked records and stream failures."""

    takes_back = True  # it can park a record once more

    def __init__(self, environment: str, queue: str) -> None:
        self._publisher = Publisher(environment)
        self._queue = queue
        self.name = self._publisher.function

    def records(self, message: Message) -> Sequence[Record]:
        """Return the parked record, or the records that the stream still keeps."""
        body = document(message)
        if self._queue == STREAM_FAILURES:
            try:
                return self._publisher.records_between(body.get("DDBStreamBatchInfo") or {})
            except RecordsGoneError as error:
                raise NothingToGiveError(str(error)) from error
        record = body.get("record")
        if not isinstance(record, dict) or not body.get("complete", True):
            raise NothingToGiveError(
                "It does not hold the whole record: mend the item, then --discard the message."
            )
        return [record]

    def give(self, message: Message, records: Sequence[Record]) -> None:  # noqa: ARG002
        """Let the function publish the records."""
        self._publisher.publish(records)

    def has_given(self, message: Message) -> bool:  # noqa: ARG002
        """Return False, since all messages are read before the first one is given."""
        return False


def target_of(client: "SQSClient", queue: str, environment: str) -> Target:
    """Return what gets the messages of a queue, given by its short name.

    Raises:
        QueueError, PublisherError: it does not exist.
    """
    names = QUEUES[queue]
    if names.source:
        return SourceQueue(Queue(client, names.source.format(environment), names.switch))
    return PublisherTarget(environment, queue)
