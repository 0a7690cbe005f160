"""The edge cache: the only module that knows CloudFront's API."""

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any, Final

from product_lambda.models.change import is_change_id
from product_lambda.repositories.aws_client import TemporaryException, call, open_client
from product_lambda.repositories.deadline import Deadline

_SEPARATOR: Final = "\n"  # in no change id and no path


def change_id_in(event: str) -> str:
    """Return the id of the change in an event, as JSON text.

    Raises:
        ValueError: the text is not an event of a change.
    """
    document = json.loads(event)
    detail = document.get("detail") if isinstance(document, dict) else None
    change_id = detail.get("changeId") if isinstance(detail, dict) else None
    if not (isinstance(change_id, str) and is_change_id(change_id)):
        raise ValueError("The message has no valid changeId.")
    return change_id


def caller_reference(paths: Sequence[str], change_ids: Collection[str]) -> str:
    """Return the reference of an invalidation: the same for the same changes, in any order.

    It differs with the paths, since CloudFront rejects a known reference with other paths.
    """
    names = [*paths, "", *sorted(set(change_ids))]
    return hashlib.sha256(_SEPARATOR.join(names).encode()).hexdigest()


class EdgeCache:
    """The cache of a CloudFront distribution; one for each Python process.

    Args:
        distribution_id: the distribution.
        paths: what an invalidation removes from the cache, such as `/v1.0/products*`.
        region: the region of the function; CloudFront itself has none.
        endpoint_url: the endpoint of another AWS, such as a local engine; None for AWS itself.
    """

    def __init__(
        self, distribution_id: str, paths: Sequence[str], region: str, endpoint_url: str | None
    ) -> None:
        self._distribution_id = distribution_id
        self._paths = list(paths)
        self._client = open_client("cloudfront", region, endpoint_url)

    def invalidate(self, change_ids: Collection[str], deadline: Deadline) -> str:
        """Invalidate all paths, and return the id of the invalidation.

        A repeated call with the same changes is the same invalidation, which CloudFront carries out
        once (Amazon CloudFront API Reference, "InvalidationBatch").

        Raises:
            DependencyUnavailableException: CloudFront has not confirmed the invalidation.
            CallRejectedException: CloudFront rejects the invalidation, such as for too many others
                in progress (`TooManyInvalidationsInProgress`).
        """
        batch = {
            "Paths": {"Quantity": len(self._paths), "Items": self._paths},
            "CallerReference": caller_reference(self._paths, change_ids),
        }

        def create() -> str:
            response: dict[str, Any] = self._client.create_invalidation(
                DistributionId=self._distribution_id, InvalidationBatch=batch
            )
            invalidation_id = response.get("Invalidation", {}).get("Id")
            if not invalidation_id:
                raise TemporaryException("an invalidation without an id")
            return str(invalidation_id)

        return call(create, deadline)
