"""The function behind the table's stream: publishes the changes of products."""

import os

from product_lambda.event_handlers.batches import BatchEvent, Context, causes_of, deadline_of
from product_lambda.repositories.event_bus import EventBus
from product_lambda.repositories.queues import Queue
from product_lambda.services.change_service import ChangeService
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.settings import load_event_settings

_SETTINGS = load_event_settings(
    os.environ,
    {
        "EVENT_BUS_NAME": "the name of the event bus",
        "PARKED_QUEUE_URL": "the URL of the queue for records that cannot be understood",
    },
)
_PLACE = _SETTINGS.aws_region, _SETTINGS.aws_endpoint_url
LOGGER = configure_logging(_SETTINGS.log_level)
SERVICE = ChangeService(
    EventBus(_SETTINGS.required["EVENT_BUS_NAME"], *_PLACE),
    Queue(_SETTINGS.required["PARKED_QUEUE_URL"], *_PLACE),
)


def handler(event: BatchEvent, context: Context) -> None:
    """Publish the changes in a batch of stream records.

    An exception makes Lambda deliver the batch again; a result would count as success.
    """
    try:
        SERVICE.publish(event["Records"], deadline_of(context))
    except Exception as error:
        LOGGER.exception("changes not published", extra={"causes": causes_of(error)})
        raise
