"""Messages to SQS queues: the only module that knows SQS.

Lambda's runtime provides botocore, so it is not in the zips (docs/adr/0028-botocore.md). Importing
it takes longer than all other imports of a function: functions of the API import this module only
for a request that prefers 202.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from product_lambda.exceptions import DependencyUnavailableException

_SERVER_ERROR: Final = 500


class Limits(NamedTuple):
    """The limits of sending one message.

    Attributes:
        connect_seconds: the longest time for a connection.
        read_seconds: the longest wait for a part of the response.
        attempts: how often a message is sent until SQS accepts it, at most.
    """

    connect_seconds: float = 1.0
    read_seconds: float = 3.0
    attempts: int = 2


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
        self._client: Any = botocore.session.get_session().create_client(
            "sqs",
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=limits.connect_seconds,
                read_timeout=limits.read_seconds,
                retries={"total_max_attempts": limits.attempts, "mode": "standard"},
            ),
        )

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
            botocore.exceptions.ClientError: SQS rejects the message, such as for a missing right.
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
            accepted = self._client.send_message(**message)
        except ClientError as error:
            if _is_temporary(error):
                raise DependencyUnavailableException from error
            raise
        except (BotoCoreError, ResponseParserError) as failure:
            raise DependencyUnavailableException from failure
        if not accepted.get("MessageId"):
            raise DependencyUnavailableException


def _is_temporary(error: ClientError) -> bool:
    """Return whether SQS throttles or fails (Amazon SQS API Reference, "Common Errors")."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    return status >= _SERVER_ERROR or "Throttl" in error.response.get("Error", {}).get("Code", "")
