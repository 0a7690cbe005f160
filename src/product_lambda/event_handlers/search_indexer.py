"""The function behind the queue of the search index: keeps a document of each product there."""

import os
from typing import Final

from product_lambda.event_handlers.batches import BatchEvent, Context, deadline_of
from product_lambda.models.search_document import SearchDocument, document_in
from product_lambda.repositories.search_index import Outcome, SearchIndex
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.settings import load_event_settings

_SETTINGS = load_event_settings(
    os.environ, {"OPENSEARCH_ENDPOINT": "the endpoint URL of the OpenSearch domain"}
)
LOGGER = configure_logging(_SETTINGS.log_level)
INDEX = SearchIndex(_SETTINGS.required["OPENSEARCH_ENDPOINT"], _SETTINGS.aws_region)
_FAILURES: Final = {
    Outcome.FAILED: "document not indexed",
    Outcome.REJECTED: "document rejected",
}

type Response = dict[str, list[dict[str, str]]]
"""The messages that failed, in the form of AWS Lambda Developer Guide, "Handling errors for an SQS
event source in Lambda", partial batch responses."""


def handler(event: BatchEvent, context: Context) -> Response:
    """Index the changes in a batch of messages, and return the messages that failed.

    The queue delivers those again, and only those.
    """
    deadline = deadline_of(context)
    failed: list[str] = []
    documents: dict[str, SearchDocument] = {}
    for message in event["Records"]:
        message_id = message["messageId"]
        try:
            documents[message_id] = document_in(message["body"])
        except (ValueError, RecursionError) as error:
            extra = {"message_id": message_id, "reason": str(error)}
            LOGGER.error("document rejected", extra=extra)  # noqa: TRY400 (the reason is enough)
            failed.append(message_id)
    results = INDEX.put(list(documents.values()), deadline)
    for (message_id, document), result in zip(documents.items(), results, strict=True):
        fields = {"message_id": message_id, "product_id": document.product_id}
        if result.is_done:
            extra = {**fields, "outcome": str(result.outcome)}
            LOGGER.info("document indexed", extra=extra)
        else:
            LOGGER.error(_FAILURES[result.outcome], extra={**fields, "reason": result.reason})
            failed.append(message_id)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
