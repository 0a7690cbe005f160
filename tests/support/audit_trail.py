"""Change events as the bus delivers them, and an audit bucket that holds some."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

import simplejson

from product_tools.audit_history import bucket_name
from tests.support.stream_records import check_detail

SOURCE = "bbws.product"


def product_shown(**fields: object) -> dict[str, Any]:
    """Return a product as the API shows it."""
    return {
        "productId": "PROD-001",
        "name": "Entry",
        "description": "One site.",
        "price": Decimal(95),
        "currency": "ZAR",
        "period": "yearly",
        "features": ["Five pages"],
        "active": True,
        "version": 1,
        "createdAt": "2026-01-31T09:30:00.000000Z",
        "updatedAt": "2026-01-31T09:30:00.000000Z",
        **fields,
    }


def change_event(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    kind: str = "ProductUpdated",
    **detail: object,
) -> dict[str, Any]:
    """Return the event of a change between two states of a product."""
    state = after or before or {}
    names = dict.fromkeys((*(before or {}), *(after or {})))
    changed = [
        name
        for name in names
        if name not in ("productId", "version", "updatedAt")
        and (before or {}).get(name) != (after or {}).get(name)
    ]
    event: dict[str, Any] = {
        "version": "0",
        "id": str(uuid4()),
        "source": SOURCE,
        "detail-type": kind,
        "account": "000000000000",
        "time": "2026-01-31T09:30:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {
            "schemaVersion": "1.0",
            "changeId": uuid4().hex,
            "productId": state["productId"],
            "version": state["version"],
            "changedAt": state["updatedAt"],
            "changedBy": "k1l2m3n4o5",
            "changedFields": changed,
            "before": before,
            "after": after,
            **detail,
        },
    }
    check_detail(event["detail"])
    return event


def text_of(event: Mapping[str, Any]) -> str:
    """Return an event as JSON, with exact amounts."""
    return simplejson.dumps(event, use_decimal=True)


class AuditTrail:
    """The audit bucket of DEV.

    Args:
        client: the client of S3.
    """

    def __init__(self, client: Any) -> None:
        self.name = bucket_name("dev")
        self._client = client
        client.create_bucket(
            Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )

    def add(self, event: Mapping[str, Any], *, key: str | None = None) -> str:
        """Store an event as `audit_logger` does, and return its key."""
        detail = event["detail"]
        day = str(detail["changedAt"])[:10].replace("-", "/")
        name = f"{detail['productId']}_{detail['changedAt']}_{detail['changeId']}.json"
        return self.put(key or f"{day}/{name}", text_of(event))

    def put(self, key: str, body: str) -> str:
        """Store any object, and return its key."""
        self._client.put_object(Bucket=self.name, Key=key, Body=body.encode())
        return key

    def delete(self) -> None:
        """Delete the bucket; accounts share the names of buckets."""
        for found in self._client.list_objects_v2(Bucket=self.name).get("Contents", []):
            self._client.delete_object(Bucket=self.name, Key=found["Key"])
        self._client.delete_bucket(Bucket=self.name)
