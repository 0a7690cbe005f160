"""The function behind the queue of commands: carries accepted changes out, in their order."""

import os
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.batch import (
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from product_lambda.event_handlers.batches import BatchEvent, Context, deadline_of
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.product_repository import open_table
from product_lambda.services.command_service import CommandService
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.settings import load_event_settings
from product_lambda.validators.commands import parse_command

_SETTINGS = load_event_settings(os.environ, {"TABLE_NAME": "the name of the DynamoDB table"})
LOGGER = configure_logging(_SETTINGS.log_level)
TABLE = open_table(
    _SETTINGS.required["TABLE_NAME"], _SETTINGS.aws_region, _SETTINGS.aws_endpoint_url
)


def handler(event: BatchEvent, context: Context) -> PartialItemFailureResponse:
    """Carry out the commands in a batch of messages, and return the messages that failed.

    The queue delivers those again. After a failure, the later commands of the same product fail
    unread, so that they do not overtake it.
    """
    service = CommandService(
        CommandRepository(TABLE, deadline_of(context)), lambda: datetime.now(UTC)
    )

    def carry_out(record: SQSRecord) -> None:
        try:
            # A message that is no command of this version fails as well. If it were rejected, it
            # would be lost; in the dead-letter queue it waits for code that understands it.
            command = parse_command(record.body)
            outcome = service.carry_out(command)
        except Exception:
            LOGGER.exception("command not carried out", extra={"message_id": record.message_id})
            raise
        fields = {
            "operation": command.operation,
            "product_id": command.product_id,
            "command_id": command.command_id,
            "request_id": command.request_id,
        }
        if outcome.problem is None:
            LOGGER.info("command carried out", extra=fields)
        else:
            LOGGER.error("command rejected", extra={**fields, "problem": outcome.problem})

    # A batch is often one message: its failure is no other than that of one among several.
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False
    return process_partial_response(event, carry_out, processor)
