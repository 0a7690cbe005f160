"""The function behind the queue of the edge cache: invalidates it once for each batch."""

import os
from collections.abc import Iterable, Sequence

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from product_lambda.event_handlers.batches import BatchEvent, Context, causes_of, deadline_of
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.edge_cache import EdgeCache, change_id_in
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.settings import load_event_settings

_SETTINGS = load_event_settings(
    os.environ,
    {
        "DISTRIBUTION_ID": "the id of the CloudFront distribution",
        "INVALIDATION_PATHS": "the paths to invalidate, separated by commas",
    },
)
LOGGER = configure_logging(_SETTINGS.log_level)
_PATHS = _SETTINGS.required["INVALIDATION_PATHS"]
CACHE = EdgeCache(
    _SETTINGS.required["DISTRIBUTION_ID"],
    [path for part in _PATHS.split(",") if (path := part.strip())],
    _SETTINGS.aws_region,
    # Optional: the endpoint of another CloudFront, where the local AWS has none.
    os.environ.get("CLOUDFRONT_ENDPOINT_URL") or _SETTINGS.aws_endpoint_url,
)


def handler(event: BatchEvent, context: Context) -> PartialItemFailureResponse:
    """Invalidate the cache for a batch of messages, and return the messages that failed.

    A message that cannot be understood fails alone. If CloudFront does not accept the invalidation,
    all messages fail, so that the queue delivers them again.
    """
    failure = _failure_of_invalidation(_change_ids(event["Records"]), deadline_of(context))

    def confirm(record: SQSRecord) -> None:
        try:
            change_id_in(record.body)
        except ValueError as error:
            extra = {"message_id": record.message_id, "causes": causes_of(error)}
            LOGGER.exception("change not understood", extra=extra)
            raise
        if failure:
            raise failure

    # A batch is often one message: its failure is no other than that of one among several.
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, confirm, processor)


def _change_ids(records: Iterable[dict[str, str]]) -> list[str]:
    """Return the ids of the changes in the messages that can be understood."""
    change_ids: list[str] = []
    for record in records:
        try:
            change_ids.append(change_id_in(record["body"]))
        except ValueError:
            continue  # `confirm` logs it
    return change_ids


def _failure_of_invalidation(change_ids: Sequence[str], deadline: Deadline) -> Exception | None:
    """Invalidate the cache if there is a change; return the error, or None for success."""
    if not change_ids:
        return None
    try:
        invalidation_id = CACHE.invalidate(change_ids, deadline)
    except Exception as error:
        LOGGER.exception("cache not invalidated", extra={"causes": causes_of(error)})
        return error
    extra = {"invalidation_id": invalidation_id, "change_ids": change_ids}
    LOGGER.info("cache invalidated", extra=extra)
    return None
