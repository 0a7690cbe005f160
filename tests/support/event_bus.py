"""An event bus of the engine, with a consumer of all its events."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import boto3

from local.engine import REGION
from tests.support.queues import EngineQueue
from tests.support.stream_records import check_detail


class EngineBus:
    """An event bus whose rule sends all events to a queue.

    Attributes:
        name: the name of the bus.
        queue: the queue of the consumer.
    """

    def __init__(self, engine: str) -> None:
        client = boto3.client("events", region_name=REGION, endpoint_url=engine)
        self.name = f"events-{uuid4().hex}"
        self.queue = EngineQueue(engine, fifo=False)
        client.create_event_bus(Name=self.name)
        client.put_rule(
            Name="all",
            EventBusName=self.name,
            EventPattern=json.dumps({"source": ["bbws.product"]}),
        )
        arn = self.queue.client.get_queue_attributes(
            QueueUrl=self.queue.url, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        client.put_targets(
            Rule="all", EventBusName=self.name, Targets=[{"Id": "queue", "Arn": arn}]
        )

    def received(self, count: int) -> list[dict[str, Any]]:
        """Return `count` events in the order of their arrival, with exact numbers.

        Each is checked against the schema.
        """
        events: list[dict[str, Any]] = [
            json.loads(message["Body"], parse_float=Decimal)
            for message in self.queue.received(count)
        ]
        for event in events:
            check_detail(event["detail"])
        return events
