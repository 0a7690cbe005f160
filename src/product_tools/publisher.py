"""Gives records of the table's stream to the function `change_publisher` again.

Lambda names records that it gave up by their place in the stream, which keeps them for 24 hours.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from product_tools.aliases import ALIAS
from product_tools.aws_calls import CLIENT_CONFIG, aws_errors_as
from product_tools.functions import function_name

if TYPE_CHECKING:
    from types_boto3_dynamodbstreams import DynamoDBStreamsClient
    from types_boto3_lambda import LambdaClient

type Record = Mapping[str, Any]
"""A record as Lambda gives it to a function."""

_RECORDS_OF_CALL: Final = 10  # two items of 400 KB each, and a call takes 6 MB
# A page can be empty although records follow (Amazon DynamoDB API Reference, "GetRecords").
_MAX_EMPTY_PAGES: Final = 50
# No retry of an invocation, which may still run; it would only publish the records twice.
_INVOCATION: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70)


class PublisherError(Exception):
    """Records were not published; the message is one sentence with the next step."""


class RecordsGoneError(PublisherError):
    """The stream no longer has the records."""


class Publisher:
    """The function `change_publisher` of an environment, and the stream of its table.

    Raises:
        PublisherError: a call fails, in any method.
    """

    @aws_errors_as(PublisherError)
    def __init__(self, environment: str) -> None:
        self.function = function_name("change_publisher", environment)
        region = os.environ.get("AWS_REGION")
        self._functions: LambdaClient = boto3.Session().client(
            "lambda", region_name=region, config=_INVOCATION
        )
        self._streams: DynamoDBStreamsClient = boto3.Session().client(
            "dynamodbstreams", region_name=region, config=CLIENT_CONFIG
        )

    def publish(self, records: Sequence[Record]) -> None:
        """Let the function publish records; it parks those that it cannot understand.

        Raises:
            PublisherError: the function is missing or fails; some records may be published.
        """
        for batch in batched(records, _RECORDS_OF_CALL):
            self._invoke({"Records": list(batch)})

    @aws_errors_as(PublisherError)
    def _invoke(self, event: Mapping[str, Any]) -> None:
        try:
            response = self._functions.invoke(
                FunctionName=self.function, Qualifier=ALIAS, Payload=json.dumps(event).encode()
            )
            result = response["Payload"].read()
        except self._functions.exceptions.ResourceNotFoundException:
            raise PublisherError(
                f"There is no function {self.function} with the alias {ALIAS}:"
                " enable_change_events is off in this environment, or the region or the account is"
                " another one."
            ) from None
        if "FunctionError" in response:
            raise PublisherError(
                f"{self.function} failed ({_error_text(result)}): see its log, and try again."
            )

    @aws_errors_as(PublisherError)
    def records_between(self, place: Mapping[str, Any]) -> list[Record]:
        """Return the records that Lambda gave up.

        Args:
            place: `DDBStreamBatchInfo` of the message (AWS Lambda Developer Guide, "Retain
                discarded records for a DynamoDB event source").

        Raises:
            RecordsGoneError: the stream no longer has all of them.
            PublisherError: the message does not say where they are.
        """
        try:
            arn, shard = str(place["streamArn"]), str(place["shardId"])
            first, last = int(place["startSequenceNumber"]), int(place["endSequenceNumber"])
        except (KeyError, TypeError, ValueError):
            raise PublisherError(
                "The message does not name the records in the stream: look at it with"
                " scripts/show_dead_letters.py stream-failures --json."
            ) from None
        try:
            found = list(self._read(arn, shard, str(place["startSequenceNumber"]), last))
        except (
            self._streams.exceptions.ResourceNotFoundException,
            self._streams.exceptions.TrimmedDataAccessException,
        ):
            found = []
        ends = [int(found[end]["dynamodb"]["SequenceNumber"]) for end in (0, -1)] if found else []
        if ends != [first, last]:
            raise RecordsGoneError(
                f"The stream no longer keeps the records {first} to {last} of {shard} (it keeps"
                " them for 24 hours): their changes reach no consumer."
            )
        return [{**_plain(record), "eventSourceARN": arn} for record in found]

    def _read(self, arn: str, shard: str, first: str, last: int) -> Iterator[Any]:
        """Yield the records of a shard from one number to another."""
        iterator: str | None = self._streams.get_shard_iterator(
            StreamArn=arn,
            ShardId=shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=first,
        )["ShardIterator"]
        reached = empty_pages = 0
        while iterator and reached < last and empty_pages < _MAX_EMPTY_PAGES:
            response = self._streams.get_records(ShardIterator=iterator)
            empty_pages = 0 if response["Records"] else empty_pages + 1
            for record in response["Records"]:
                reached = int(record["dynamodb"]["SequenceNumber"])
                if reached <= last:
                    yield record
            iterator = response.get("NextShardIterator")


def _plain(value: Any) -> Any:  # noqa: ANN401 (JSON has no static shape)
    """Return a value of boto3 as Lambda writes it in JSON."""
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple() | set():
            return [_plain(each) for each in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return value.timestamp()
        case _:
            return value


def _error_text(result: bytes) -> str:
    try:
        error = json.loads(result)
        return f"{error['errorType']}: {' '.join(str(error['errorMessage']).split())}"
    except (KeyError, TypeError, ValueError):
        return "without a message"
