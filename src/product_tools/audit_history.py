"""Reads the history of a product from the audit bucket, day by day, and writes it as CSV or JSON.

It only reads. An object that cannot be read is named and does not hide the others.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import boto3
import simplejson
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from product_tools import catalogue_csv
from product_tools.aws_calls import CLIENT_CONFIG, aws_errors_as
from product_tools.catalogue_diff import shown_value
from product_tools.change_events import Change, NotAnEventError
from product_tools.environment_files import RECOVERY, values
from product_tools.moments import timestamp

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PARALLEL: Final = 16
_CONFIG: Final = CLIENT_CONFIG.merge(Config(max_pool_connections=_PARALLEL))
COLUMNS: Final = (
    *("changedAt", "productId", "version", "change", "changedBy"),
    *("field", "before", "after", "changeId"),
)
"""The columns of the CSV file, which has one row for each changed field."""


class HistoryError(Exception):
    """The history cannot be read; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class UnreadObject:
    """An object that could not be read.

    Attributes:
        key: its key in the bucket.
        reason: a part of a sentence, with the next step.
    """

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key} was not read: {self.reason}."


def bucket_name(environment: str) -> str:
    """Return the name of the audit bucket of an environment, or of PROD in the second region.

    Raises:
        EnvironmentFileError: a file of the environment has a syntax error.
    """
    if environment == RECOVERY:  # names of buckets are global
        return f"{bucket_name('prod')}-{values(environment)['aws_region']}"
    return f"bbws-product-audit-logs-{environment}"


def days_between(since: datetime, until: datetime) -> list[date]:
    """Return each day, in UTC, that has a moment of the range; none if it ends before it begins."""
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


class AuditBucket:
    """The objects of one environment's audit bucket.

    Args:
        environment: the name of the environment.

    Raises:
        HistoryError: the bucket cannot be read, in any method.
    """

    @aws_errors_as(HistoryError)
    def __init__(self, environment: str) -> None:
        self.name = bucket_name(environment)
        self._environment = environment
        self._client: S3Client = boto3.Session().client(
            "s3", region_name=os.environ.get("AWS_REGION"), config=_CONFIG
        )

    def keys(self, product_id: str, days: Iterable[date]) -> Iterator[list[str]]:
        """Yield the keys of a product's objects for each day, in the order of the days."""
        prefixes = [f"{day:%Y/%m/%d}/{product_id}_" for day in days]
        with ThreadPoolExecutor(_PARALLEL) as threads:
            yield from threads.map(self._keys_below, prefixes)

    def read(self, product_id: str, keys: Sequence[str]) -> Iterator[Change | UnreadObject]:
        """Yield what each object holds, in the order of the keys."""
        with ThreadPoolExecutor(_PARALLEL) as threads:
            yield from threads.map(lambda key: self._read(product_id, key), keys)

    @aws_errors_as(HistoryError)
    def _keys_below(self, prefix: str) -> list[str]:
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix
            )
            return [found["Key"] for page in pages for found in page.get("Contents", [])]
        except self._client.exceptions.NoSuchBucket:
            raise HistoryError(
                f"There is no bucket {self.name}: the audit trail of {self._environment} is off"
                " (enable_audit_log), or the region or the account is another one."
            ) from None

    @aws_errors_as(HistoryError)
    def _read(self, product_id: str, key: str) -> Change | UnreadObject:
        try:
            body = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
            change = Change.from_json(body)
        except NotAnEventError as error:
            return UnreadObject(key, f"{error}; find out who wrote it")
        except ClientError as error:
            return UnreadObject(key, _object_error(error))
        except (HTTPClientError, IncompleteReadError) as error:
            return UnreadObject(key, f"its content did not arrive ({error}); try again")
        if change.product_id != product_id:
            return UnreadObject(
                key, f"its event is about {change.product_id}; find out who wrote it"
            )
        return change


def _object_error(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code == "InvalidObjectState":
        return (
            "it is in Glacier; restore it with aws s3api restore-object, and ask again when it is"
            " restored, after some hours"
        )
    return f"S3 responded {code}; check the right to read objects and their key, or try again"


def ordered(changes: Iterable[Change], since: datetime, until: datetime) -> list[Change]:
    """Return each change of a range once, by its time and then its version."""
    once = {
        change.change_id: change
        for change in changes
        if timestamp(since) <= change.changed_at <= timestamp(until)
    }
    return sorted(once.values(), key=lambda change: (change.changed_at, change.version))


def csv_text(changes: Iterable[Change]) -> str:
    """Return a file for spreadsheets, with one row for each changed field."""
    return catalogue_csv.text_of(COLUMNS, (row for change in changes for row in _rows(change)))


def _rows(change: Change) -> Iterator[dict[str, object]]:
    common = {
        "changedAt": change.changed_at,
        "productId": change.product_id,
        "version": Decimal(change.version),
        "change": change.kind,
        "changedBy": change.changed_by,
        "changeId": change.change_id,
    }
    if not change.fields:
        yield common
    for field, before, after in change.fields:
        yield {**common, "field": field, "before": _cell(before), "after": _cell(after)}


def _cell(value: object) -> object:
    match value:
        case None | str() | Decimal() | list():
            return value
        case bool():
            return shown_value(value)
        case int():
            return Decimal(value)
        case _:
            return shown_value(value)


def json_text(changes: Iterable[Change]) -> str:
    """Return a JSON list of the changes, with exact amounts."""
    return simplejson.dumps(
        [_document(change) for change in changes], use_decimal=True, ensure_ascii=False, indent=2
    )


def _document(change: Change) -> dict[str, Any]:
    return {
        "changedAt": change.changed_at,
        "productId": change.product_id,
        "version": change.version,
        "change": change.kind,
        "changedBy": change.changed_by or None,
        "fields": [field._asdict() for field in change.fields],
        "changeId": change.change_id,
    }
