"""Queues of the engine, and what arrives in them."""

from typing import Any
from uuid import uuid4

import boto3

from local.engine import REGION
from tests.support.waiting import eventually


class EngineQueue:
    """A queue of the engine, and what arrives in it.

    Attributes:
        url: its URL.
        arn: its name for other services.
    """

    def __init__(self, engine: str, *, fifo: bool) -> None:
        self.client = boto3.client("sqs", region_name=REGION, endpoint_url=engine)
        name = f"changes-{uuid4().hex}" + (".fifo" if fifo else "")
        self.url: str = self.client.create_queue(
            QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {}
        )["QueueUrl"]
        self.arn: str = self.client.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]

    def received(self, count: int, seconds: float = 30) -> list[Any]:
        """Return `count` messages in the order of their arrival."""
        messages: list[Any] = []

        def receive() -> bool | None:
            found = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            for message in found:
                self.client.delete_message(
                    QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]
                )
            messages.extend(found)
            return True if len(messages) >= count else None

        eventually(receive, f"{count} messages", seconds)
        return messages
