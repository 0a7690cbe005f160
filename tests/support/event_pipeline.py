"""The way of a change on the engine: stream, publisher, bus, queue, audit logger, bucket.

Its parts have the names and settings that Terraform gives them, except for shorter time-outs. The
functions run from their zips.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3

from local.engine import CREDENTIALS, REGION
from product_tools.aliases import ALIAS
from product_tools.audit_history import bucket_name
from product_tools.dead_letters import QUEUES
from product_tools.functions import EVENT_FUNCTIONS, function_name

ENVIRONMENT: Final = "dev"
BUS: Final = f"bbws-product-events-{ENVIRONMENT}"
AUDIT_QUEUE: Final = QUEUES["audit"].source.format(ENVIRONMENT)
AUDIT_DEAD_LETTERS: Final = QUEUES["audit"].name.format(ENVIRONMENT)
PARKED_QUEUE: Final = QUEUES["parked"].name.format(ENVIRONMENT)
_ACCOUNT: Final = "000000000000"
_TRIES: Final = 3
_FUNCTION_SECONDS: Final = 30


class EventPipeline:
    """The parts of the pipeline, made by boto3.

    Args:
        engine_url: the endpoint URL of the engine.
        functions_url: the endpoint URL that the functions use, such as that of a faulty server.
        table: the name of the table, which exists.
        visibility_seconds: how long a message that a function failed on stays hidden.

    Attributes:
        bucket: the name of the audit bucket.
        shown_tries: how often a message is delivered before it is a dead letter.
    """

    def __init__(
        self, engine_url: str, functions_url: str, table: str, *, visibility_seconds: int = 60
    ) -> None:
        self.bucket = bucket_name(ENVIRONMENT)
        self._engine_url = engine_url
        self._functions_url = functions_url
        self._table = table
        self._visibility = visibility_seconds
        self._mappings: dict[str, str] = {}

    def client(self, service: Any) -> Any:
        """Return a client of the engine."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self._engine_url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def create(self, packages: Path) -> None:
        """Make all parts; `packages` is the folder of the zips."""
        self.client("dynamodb").update_table(
            TableName=self._table,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.client("s3").create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self._create_queues()
        self._create_bus()
        for name in EVENT_FUNCTIONS:
            self._create_function(name, (packages / f"{name}.zip").read_bytes())
        self.connect_queue()
        self.connect_stream()

    def connect_stream(self) -> None:
        """Connect the publisher to the stream, in place of an older connection."""
        self._disconnect("change_publisher")
        table = self.client("dynamodb").describe_table(TableName=self._table)["Table"]
        self._connect(
            "change_publisher",
            EventSourceArn=table["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
            BatchSize=100,
        )

    def connect_queue(self) -> None:
        """Connect the audit logger to its queue."""
        self._disconnect("audit_logger")
        self._connect(
            "audit_logger",
            EventSourceArn=_arn("sqs", AUDIT_QUEUE),
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )

    def disconnect_queue(self) -> None:
        """Stop the deliveries to the audit logger; its queue keeps all messages."""
        self._disconnect("audit_logger")

    def queue_url(self, name: str) -> str:
        """Return the URL of a queue."""
        url: str = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return url

    def count(self, queue: str) -> int:
        """Return how many messages a queue holds, visible or not."""
        found = self.client("sqs").get_queue_attributes(
            QueueUrl=self.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        return sum(
            int(found[f"ApproximateNumberOfMessages{suffix}"])
            for suffix in ("", "NotVisible", "Delayed")
        )

    def keys(self) -> Iterator[str]:
        """Yield the key of each object in the audit bucket."""
        for page in self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            yield from (found["Key"] for found in page.get("Contents", []))

    def _create_queues(self) -> None:
        client = self.client("sqs")
        for name in (AUDIT_DEAD_LETTERS, PARKED_QUEUE):
            client.create_queue(QueueName=name)
        redrive = {
            "deadLetterTargetArn": _arn("sqs", AUDIT_DEAD_LETTERS),
            "maxReceiveCount": _TRIES,
        }
        client.create_queue(
            QueueName=AUDIT_QUEUE,
            Attributes={
                "VisibilityTimeout": str(self._visibility),
                "RedrivePolicy": json.dumps(redrive),
            },
        )

    def _create_bus(self) -> None:
        client = self.client("events")
        bus = client.create_event_bus(Name=BUS)["EventBusArn"]
        client.create_archive(ArchiveName=BUS, EventSourceArn=bus)
        pattern = json.dumps({"source": ["bbws.product"]})
        client.put_rule(Name=AUDIT_QUEUE, EventBusName=BUS, EventPattern=pattern)
        target = {"Id": "queue", "Arn": _arn("sqs", AUDIT_QUEUE)}
        client.put_targets(Rule=AUDIT_QUEUE, EventBusName=BUS, Targets=[target])

    def _create_function(self, name: str, package: bytes) -> None:
        client, function = self.client("lambda"), function_name(name, ENVIRONMENT)
        settings = {
            "change_publisher": {
                "EVENT_BUS_NAME": BUS,
                "PARKED_QUEUE_URL": self.queue_url(PARKED_QUEUE),
            },
            "audit_logger": {"AUDIT_BUCKET": self.bucket},
            "cache_invalidator": {"DISTRIBUTION_ID": "none", "INVALIDATION_PATHS": "/none"},
            "product_creator": {"TABLE_NAME": self._table},
            "search_indexer": {"OPENSEARCH_ENDPOINT": "http://127.0.0.1:9"},
        }[name]
        client.create_function(
            FunctionName=function,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{_ACCOUNT}:role/none",
            Handler=f"product_lambda.event_handlers.{name}.handler",
            Code={"ZipFile": package},
            Timeout=_FUNCTION_SECONDS,
            MemorySize=512,
            Publish=True,
            Environment={
                "Variables": {
                    **CREDENTIALS,
                    **settings,
                    "AWS_ENDPOINT_URL": self._functions_url,
                    "AWS_REGION": REGION,
                    "LOG_LEVEL": "ERROR",
                }
            },
        )
        client.create_alias(FunctionName=function, Name=ALIAS, FunctionVersion="1")

    def _connect(self, name: str, **settings: Any) -> None:
        mapping = self.client("lambda").create_event_source_mapping(
            FunctionName=f"{function_name(name, ENVIRONMENT)}:{ALIAS}", Enabled=True, **settings
        )
        self._mappings[name] = mapping["UUID"]

    def _disconnect(self, name: str) -> None:
        if uuid := self._mappings.pop(name, None):
            self.client("lambda").delete_event_source_mapping(UUID=uuid)


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{_ACCOUNT}:{name}"
