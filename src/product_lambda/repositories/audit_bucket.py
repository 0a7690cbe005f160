"""The audit trail in S3: one object for each change, which is never written twice."""

import json
from typing import Final, NamedTuple

from product_lambda.models.change import is_change_id
from product_lambda.models.product import is_product_id, is_timestamp
from product_lambda.repositories.aws_client import CallRejectedException, call, open_client
from product_lambda.repositories.deadline import Deadline

_ALREADY_THERE: Final = "PreconditionFailed"
_DAY: Final = len("2026-01-31")


class AuditObject(NamedTuple):
    """An object of the audit trail.

    Attributes:
        key: its name, which begins with the day of the change in UTC.
        event: the event as it arrived, which keeps amounts exact.
    """

    key: str
    event: str


def audit_object(event: str) -> AuditObject:
    """Return the object for an event, as JSON text.

    Raises:
        ValueError: the text is not an event of a change.
    """
    document = json.loads(event)
    product_id, changed_at, change_id = (
        _text_in(document, "detail", name) for name in ("productId", "changedAt", "changeId")
    )
    if not (is_product_id(product_id) and is_timestamp(changed_at) and is_change_id(change_id)):
        raise ValueError("The message has no valid productId, changedAt and changeId.")
    folder = changed_at[:_DAY].replace("-", "/")
    return AuditObject(f"{folder}/{product_id}_{changed_at}_{change_id}.json", event)


class AuditBucket:
    """The bucket of the audit trail; one for each Python process."""

    def __init__(self, name: str, region: str, endpoint_url: str | None) -> None:
        """Make a client for the bucket `name`; this sends nothing."""
        self._name = name
        self._client = open_client("s3", region, endpoint_url)

    def put(self, audited: AuditObject, deadline: Deadline) -> bool:
        """Store an object, and return whether it is new.

        Raises:
            DependencyUnavailableException: S3 has not confirmed the object.
            CallRejectedException: S3 rejects the object.
        """
        try:
            call(
                lambda: self._client.put_object(
                    Bucket=self._name,
                    Key=audited.key,
                    Body=audited.event.encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                ),
                deadline,
            )
        except CallRejectedException as rejection:
            if rejection.code == _ALREADY_THERE:
                return False
            raise
        return True


def _text_in(document: object, *path: str) -> str:
    """Return the text at a path of names; empty if there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""
