"""The function behind the queue of the audit trail: stores each change as an object."""

import os

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from product_lambda.event_handlers.batches import BatchEvent, Context, causes_of, deadline_of
from product_lambda.repositories.audit_bucket import AuditBucket, audit_object
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.settings import load_event_settings

_SETTINGS = load_event_settings(
    os.environ, {"AUDIT_BUCKET": "the name of the bucket of the audit trail"}
)
LOGGER = configure_logging(_SETTINGS.log_level)
BUCKET = AuditBucket(
    _SETTINGS.required["AUDIT_BUCKET"], _SETTINGS.aws_region, _SETTINGS.aws_endpoint_url
)


def handler(event: BatchEvent, context: Context) -> PartialItemFailureResponse:
    """Store the events in a batch of messages, and return the messages that failed.

    The queue delivers those again, and only those.
    """
    deadline = deadline_of(context)

    def store(record: SQSRecord) -> None:
        try:
            audited = audit_object(record.body)
            is_new = BUCKET.put(audited, deadline)
        except Exception as error:
            extra = {"message_id": record.message_id, "causes": causes_of(error)}
            LOGGER.exception("change not audited", extra=extra)
            raise
        LOGGER.info("change audited", extra={"object_key": audited.key, "is_new": is_new})

    # A batch is often one message: its failure is no other than that of one among several.
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, store, processor)
