"""The search index in OpenSearch, written by bulk requests: the only module that knows OpenSearch.

It writes through aliases, never to an index by its own name (docs/adr/0034-search-index.md).
"""

import random
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import simplejson
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import OpenSearchException, TransportError

from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.models.search_document import SearchDocument
from product_lambda.repositories.aws_client import signing_credentials
from product_lambda.repositories.deadline import Deadline

ALIAS: Final = "products"
"""The alias that is searched; it leads to one index."""
NEXT_ALIAS: Final = "products-next"
"""The alias of the index that a rebuild is filling; at other times there is none."""

_SERVICE: Final = "es"
_CALL_SECONDS: Final = 2.5
_MAX_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.2
_RANDOM: Final = random.SystemRandom()
_SERVER_ERROR: Final = 500  # and above
_TEMPORARY_STATUSES: Final = frozenset({408, 429})
_SUCCESS: Final = range(200, 300)
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_NO_ALIAS: Final = "index_not_found_exception"


class Outcome(StrEnum):
    """What happened to a document, from the best to the worst."""

    STORED = "stored"
    OUTDATED = "outdated"  # the index has a later state
    FAILED = "failed"  # and may succeed later
    REJECTED = "rejected"  # and would be rejected again


_ORDER: Final = tuple(Outcome)


class Result(NamedTuple):
    """The outcome for a document, with the reason of OpenSearch for a failure or rejection."""

    outcome: Outcome
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the index has this state of the product, or a later one."""
        return self.outcome in {Outcome.STORED, Outcome.OUTDATED}


class SearchIndex:
    """The search index; one for each Python process.

    Args:
        endpoint_url: the endpoint of the domain, such as `https://search-x.eu-west-1.es.amazonaws
            .com`.
        region: the region of the domain, for the signatures of requests.
    """

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._client = OpenSearch(
            hosts=[endpoint_url],
            http_auth=Urllib3AWSV4SignerAuth(signing_credentials(), region, _SERVICE),
            connection_class=Urllib3HttpConnection,
            timeout=_CALL_SECONDS,
            max_retries=0,  # `put` retries
        )

    def put(self, documents: Sequence[SearchDocument], deadline: Deadline) -> list[Result]:
        """Store documents unless the index has later states, and return the result of each.

        What fails is sent again after a pause, twice at most and before the deadline.
        """
        results = self._attempt(documents, deadline)
        for attempt in range(_MAX_ATTEMPTS - 1):
            pending = [
                place for place, result in enumerate(results) if result.outcome is Outcome.FAILED
            ]
            pause = _FIRST_PAUSE_SECONDS * 2**attempt * (1 + _RANDOM.random())
            if not pending or deadline.remaining() < pause:
                break
            time.sleep(pause)
            again = self._attempt([documents[place] for place in pending], deadline)
            for place, result in zip(pending, again, strict=True):
                results[place] = result
        return results

    def _attempt(self, documents: Sequence[SearchDocument], deadline: Deadline) -> list[Result]:
        """Send documents once to the index that is searched, and to one that is being filled.

        The second one comes first: if a rebuild ends in between, both requests reach its index.
        """
        if not documents:
            return []
        body = _bulk_body(documents)
        results = [Result(Outcome.STORED)] * len(documents)
        for alias in (NEXT_ALIAS, ALIAS):
            new = self._bulk(alias, body, len(documents), deadline)
            results = [max(pair, key=_severity) for pair in zip(results, new, strict=True)]
        return results

    def _bulk(self, alias: str, body: str, count: int, deadline: Deadline) -> list[Result]:
        try:
            response = deadline.call(
                lambda: self._client.bulk(
                    body=body,
                    index=alias,
                    # Without an alias a request would create an index with a guessed mapping.
                    params={"require_alias": "true"},
                ),
                timeout=_CALL_SECONDS,
            )
            items = [item["index"] for item in response["items"]]
            results = [_result_of(item, is_optional=alias == NEXT_ALIAS) for item in items]
        except DependencyUnavailableException:
            return [Result(Outcome.FAILED, "There was no response in time.")] * count
        except OpenSearchException as failure:
            return [_result_of_request(failure)] * count
        except (AttributeError, KeyError, TypeError) as failure:
            return [Result(Outcome.FAILED, f"The response is invalid: {failure!r}")] * count
        if len(results) != count:
            return [Result(Outcome.FAILED, f"{count} documents, {len(results)} results")] * count
        return results


def _bulk_body(documents: Sequence[SearchDocument]) -> str:
    """Return the actions of a bulk request; OpenSearch ends each of their lines.

    With `external_gte` a repeated state is stored again, which changes nothing.
    """
    lines: list[dict[str, Any]] = []
    for document in documents:
        lines.append(
            {
                "index": {
                    "_id": document.product_id,
                    "version": document.version,
                    "version_type": "external_gte",
                }
            }
        )
        lines.append(dict(document.fields))
    return "".join(f"{simplejson.dumps(line, use_decimal=True)}\n" for line in lines)


def _severity(result: Result) -> int:
    return _ORDER.index(result.outcome)


def _result_of(item: dict[str, Any], *, is_optional: bool) -> Result:
    """Return the result for one document of a bulk response."""
    status = item["status"]
    if status in _SUCCESS:
        return Result(Outcome.STORED)
    error = item["error"]
    if status == _CONFLICT:
        return Result(Outcome.OUTDATED)
    if is_optional and status == _NOT_FOUND and error["type"] == _NO_ALIAS:
        return Result(Outcome.STORED)
    causes = [f"{status} {error['type']}: {error['reason']}"]
    if isinstance(cause := error.get("caused_by"), dict):
        causes.append(str(cause.get("reason")))
    return Result(_outcome_of(status), "; ".join(causes))


def _result_of_request(failure: OpenSearchException) -> Result:
    """Return the result for the documents of a request that failed as a whole."""
    reason = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, TransportError) and not isinstance(failure, UnreachableError):
        return Result(_outcome_of(int(failure.status_code)), reason)
    return Result(Outcome.FAILED, reason)


def _outcome_of(status: int) -> Outcome:
    is_temporary = status >= _SERVER_ERROR or status in _TEMPORARY_STATUSES
    return Outcome.FAILED if is_temporary else Outcome.REJECTED
