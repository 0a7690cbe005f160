"""Queues of the engine, and what arrives in them."""

from typing import Any
from uuid import uuid4

import boto3

from local.engine import REGION
from tests.support.waiting import eventually


class EngineQueue:
    """A queue of the engine, and what arrives in it."""

    def __init__(self, engine: str, *, fifo: bool) -> None:
        self.client = boto3.client("sqs", region_name=REGION, endpoint_url=engine)
        name = f"changes-{uuid4().hex}" + (".fifo" if fifo else "")
        self.url: str = self.client.create_queue(
            QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {}
        )["QueueUrl"]

    def received(self, count: int) -> list[Any]:
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

        eventually(receive, f"{count} messages")
        return messages
