"""Queues with messages that nobody has processed: reads messages, sends, deletes, gives them back.

Only `delete()` deletes a message. After an interruption, SQS itself gives all others back when
`HOLD_SECONDS` have passed.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, Self

import boto3

from product_tools.aws_calls import CLIENT_CONFIG, aws_errors_as

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

HOLD_SECONDS: Final = 300
"""How long a message that a command reads is invisible to others, at most."""
_WAIT_SECONDS: Final = 1  # a long poll asks all servers of the queue, a short one only a few
_BATCH: Final = 10


class QueueError(Exception):
    """A queue cannot be used; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class QueueNames:
    """The names of a queue with unprocessed messages; `{}` stands for the environment.

    Attributes:
        name: the queue.
        source: the queue that its messages come from; empty if they come from a function.
        switch: the Terraform variable that creates it.
        function: the function whose log says why.
    """

    name: str
    source: str
    switch: str
    function: str


QUEUES: Final[Mapping[str, QueueNames]] = {
    "audit": QueueNames(
        "bbws-product-audit-{}-dlq",
        "bbws-product-audit-{}",
        "enable_audit_log",
        "bbws-audit-logger-{}",
    ),
    "cache": QueueNames(
        "bbws-product-cache-{}-dlq",
        "bbws-product-cache-{}",
        "enable_cloudfront_cache",
        "bbws-cache-invalidator-{}",
    ),
    "change": QueueNames(
        "bbws-product-change-{}-dlq.fifo",
        "bbws-product-change-{}.fifo",
        "enable_async_writes",
        "bbws-product-creator-{}",
    ),
    "parked": QueueNames(
        "bbws-product-parked-{}", "", "enable_change_events", "bbws-change-publisher-{}"
    ),
    "search": QueueNames(
        "bbws-product-search-{}-dlq",
        "bbws-product-search-{}",
        "enable_opensearch",
        "bbws-search-indexer-{}",
    ),
    "stream-failures": QueueNames(
        "bbws-product-stream-failures-{}", "", "enable_change_events", "bbws-change-publisher-{}"
    ),
}
"""The queues by their short names."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as SQS delivers it.

    Attributes:
        message_id: its id; a message keeps it when SQS moves it to a dead-letter queue.
        receipt: what deletes it, or gives it back.
        body: its text.
        group: its message group; empty in a standard queue.
        sent_at: when it was sent, in UTC.
        attributes: its own attributes, such as EventBridge's `ERROR_CODE`.
    """

    message_id: str
    receipt: str
    body: str
    group: str
    sent_at: datetime
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, message: "MessageTypeDef") -> Self:
        """Return a message of a response of SQS."""
        system = message.get("Attributes", {})
        return cls(
            message["MessageId"],
            message["ReceiptHandle"],
            message["Body"],
            system.get("MessageGroupId", ""),
            datetime.fromtimestamp(int(system.get("SentTimestamp", "0")) / 1000, UTC),
            message.get("MessageAttributes", {}),
        )


@aws_errors_as(QueueError)
def sqs_client() -> "SQSClient":
    """Return a client with the region and credentials of the environment variables.

    Raises:
        QueueError: there is no region.
    """
    return boto3.Session().client(
        "sqs", region_name=os.environ.get("AWS_REGION"), config=CLIENT_CONFIG
    )


class Queue:
    """One queue.

    Args:
        client: the client of SQS.
        name: the name of the queue.
        switch: the Terraform variable that creates it, for the message.

    Raises:
        QueueError: there is no such queue, or a call fails, in any method.
    """

    @aws_errors_as(QueueError)
    def __init__(self, client: "SQSClient", name: str, switch: str) -> None:
        self.name = name
        self.is_fifo = name.endswith(".fifo")
        self._client = client
        self._held: dict[str, Message] = {}
        try:
            self._url = client.get_queue_url(QueueName=name)["QueueUrl"]
        except client.exceptions.QueueDoesNotExist:
            raise QueueError(
                f"There is no queue {name}: {switch} is off in this environment, or the region or"
                " the account is another one."
            ) from None

    def length(self) -> int:
        """Return about how many messages are visible now."""
        return self._count("ApproximateNumberOfMessages")

    def in_work(self) -> int:
        """Return about how many messages somebody has received and not deleted yet."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    @aws_errors_as(QueueError)
    def _count(self, name: Any) -> int:  # noqa: ANN401 (boto3 lists all names as its type)
        found = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def messages(self) -> Iterator[Message]:
        """Yield each message once, and hide it from others until it is deleted or given back.

        SQS delivers no more messages of a group while some of the group are hidden. So a FIFO queue
        yields at most ten of each group, unless the caller deletes them in between (Amazon SQS
        Developer Guide, "FIFO queue delivery logic").
        """
        seen: set[str] = set()
        while new := [each for each in self._receive() if each.message_id not in seen]:
            seen.update(each.message_id for each in new)
            self._held |= {each.message_id: each for each in new}
            yield from new

    @aws_errors_as(QueueError)
    def _receive(self) -> list[Message]:
        response = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [Message.of(each) for each in response.get("Messages", [])]

    @aws_errors_as(QueueError)
    def give_back(self) -> None:
        """Make all messages visible again that were read and not deleted."""
        for batch in batched(self._held.values(), _BATCH):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": each.receipt, "VisibilityTimeout": 0}
                for number, each in enumerate(batch)
            ]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._held.clear()

    @aws_errors_as(QueueError)
    def send_again(self, message: Message) -> str:
        """Send a message of another queue to this one, and return its new id.

        In a FIFO queue it keeps its group. Its deduplication id is made of its message id: so a
        repetition after an interruption is dropped, but not the first attempt, which would happen
        with the former deduplication id within five minutes.
        """
        options: dict[str, Any] = {}
        if self.is_fifo:
            options = {
                "MessageGroupId": message.group,
                "MessageDeduplicationId": f"resent-{message.message_id}",
            }
        sent = self._client.send_message(
            QueueUrl=self._url,
            MessageBody=message.body,
            MessageAttributes=message.attributes,
            **options,
        )
        return sent["MessageId"]

    @aws_errors_as(QueueError)
    def delete(self, message: Message) -> None:
        """Delete a message for good."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)
        self._held.pop(message.message_id, None)
