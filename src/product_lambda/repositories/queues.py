"""Messages to SQS queues: the only module that knows SQS.

It loads botocore (docs/adr/0028-botocore.md), which takes longer than all other imports of a
function: functions of the API import this module only for a request that prefers 202.
"""

from collections.abc import Mapping
from typing import Any, Final

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories.aws_client import (
    Limits,
    TemporaryException,
    classified,
    open_client,
)

_DEFAULT: Final = Limits()


class Queue:
    """A queue of SQS, standard or FIFO.

    A message may arrive more than once. In a FIFO queue, messages with one deduplication id within
    5 minutes are one message (Amazon SQS Developer Guide, "Exactly-once processing in Amazon SQS").

    Args:
        url: the URL of the queue.
        region: the region of the queue.
        endpoint_url: the endpoint of another AWS, such as a local engine; None for AWS itself.
        limits: the limits of each `send`.
    """

    def __init__(
        self, url: str, region: str, endpoint_url: str | None, limits: Limits = _DEFAULT
    ) -> None:
        self._url = url
        self._client: Any = open_client("sqs", region, endpoint_url, limits)

    def send(
        self,
        body: str,
        *,
        group: str | None = None,
        deduplication_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Send a message; afterwards the queue keeps it until it is received and deleted.

        Args:
            body: the text of the message.
            group: for a FIFO queue: messages of one group are received in order.
            deduplication_id: for a FIFO queue: the id by which a repeated message is recognized.
            attributes: texts beside the body, by name.

        Raises:
            DependencyUnavailableException: SQS throttles, fails, is slow or unreachable, or sends
                an invalid response. The queue may have the message all the same.
            CallRejectedException: SQS rejects the message, such as for a missing right.
        """
        message: dict[str, object] = {"QueueUrl": self._url, "MessageBody": body}
        if group is not None:
            message["MessageGroupId"] = group
        if deduplication_id is not None:
            message["MessageDeduplicationId"] = deduplication_id
        if attributes:
            message["MessageAttributes"] = {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            }
        try:
            accepted = classified(lambda: self._client.send_message(**message))
        except TemporaryException as failure:
            raise DependencyUnavailableException from failure
        if not accepted.get("MessageId"):
            raise DependencyUnavailableException
