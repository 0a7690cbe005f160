"""The search indexes in OpenSearch: the only module of the commands that knows it."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import boto3
import simplejson
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import NotFoundError, OpenSearchException, TransportError

from product_tools.repository import REPOSITORY

ALIAS: Final = "products"
"""The alias that is searched."""
NEXT_ALIAS: Final = "products-next"
"""The alias of the index that a rebuild is filling: `search_indexer` writes there, too."""
MAPPING_FILE: Final = REPOSITORY / "schemas" / "search-index.json"
ON_OFFER: Final[Mapping[str, Any]] = {"term": {"deleted": False}}
"""What the alias finds."""

_SECONDS: Final = 30
_PAGE: Final = 1000
_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 1.0
_SERVER_ERROR: Final = 500  # and above
_SUCCESS: Final = range(200, 300)
_CONFLICT: Final = 409
_TOO_MANY: Final = 429


class SearchClusterError(Exception):
    """OpenSearch rejects a call or does not respond; the message is one sentence."""


class Document(Protocol):
    """One state of a product in the index."""

    @property
    def product_id(self) -> str:
        """The id of the document."""

    @property
    def version(self) -> int:
        """A later state has a higher version."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """The content."""


class Known(NamedTuple):
    """What an index has of a product.

    Attributes:
        version: the version of the document.
        changed_at: the time of the change that led to it.
        is_deleted: whether the product is not on offer.
    """

    version: int
    changed_at: str
    is_deleted: bool


class SearchCluster:
    """The indexes behind the two aliases.

    Args:
        endpoint_url: the endpoint of the domain.

    Raises:
        SearchClusterError: there are no credentials or no region; or a call fails, in any method.
    """

    def __init__(self, endpoint_url: str) -> None:
        session = boto3.Session()
        credentials = session.get_credentials()
        region = os.environ.get("AWS_REGION") or session.region_name
        if credentials is None or region is None:
            raise SearchClusterError(
                "There are no credentials or no region: sign in to AWS, and set AWS_REGION."
            )
        self.url = endpoint_url
        self._client = OpenSearch(
            hosts=[endpoint_url],
            http_auth=Urllib3AWSV4SignerAuth(credentials, region, "es"),
            connection_class=Urllib3HttpConnection,
            timeout=_SECONDS,
            max_retries=0,
        )

    def indexes_of(self, alias: str) -> list[str]:
        """Return the indexes that an alias leads to."""
        try:
            found = self._call(lambda: self._client.indices.get_alias(name=alias))
        except _MissingError:
            return []
        return sorted(found)

    def create(self, index: str) -> None:
        """Create an index behind `NEXT_ALIAS`."""
        options = json.loads(MAPPING_FILE.read_text("utf-8"))
        body = {**options, "aliases": {NEXT_ALIAS: {}}}
        self._call(lambda: self._client.indices.create(index=index, body=body))

    def delete(self, index: str) -> None:
        """Delete an index, with its aliases; a missing index is none to delete."""
        try:
            self._call(lambda: self._client.indices.delete(index=index))
        except _MissingError:
            return

    def move(self, new: str, old: Iterable[str]) -> None:
        """Let the alias lead to the new index, and delete the old ones, in one atomic request."""
        actions: list[dict[str, Any]] = [
            {"add": {"index": new, "alias": ALIAS, "filter": ON_OFFER}},
            {"remove": {"index": new, "alias": NEXT_ALIAS}},
            *({"remove_index": {"index": each}} for each in old),
        ]
        self._call(lambda: self._client.indices.update_aliases(body={"actions": actions}))

    def known(self, index: str) -> dict[str, Known]:
        """Return what an index has of each product."""
        self._call(lambda: self._client.indices.refresh(index=index))
        return dict(self._known(index))

    def _known(self, index: str) -> Iterator[tuple[str, Known]]:
        query: dict[str, Any] = {
            "size": _PAGE,
            "version": True,
            "sort": [{"productId": "asc"}],
            "_source": ["deleted", "changedAt"],
        }
        while True:
            found = self._call(lambda: self._client.search(index=index, body=query))
            hits = found["hits"]["hits"]
            for hit in hits:
                source = hit["_source"]
                known = Known(hit["_version"], source["changedAt"], source["deleted"])
                yield hit["_id"], known
            if len(hits) < _PAGE:
                return
            query["search_after"] = hits[-1]["sort"]

    def store(self, documents: Sequence[Document]) -> None:
        """Store documents in the index behind `NEXT_ALIAS`, unless it has later states."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            documents, reason = self._stored(documents)
            if not documents:
                return
        raise SearchClusterError(
            f"{self.url} is overloaded ({reason}): start the command again later."
        )

    def _stored(self, documents: Sequence[Document]) -> tuple[list[Document], str]:
        """Send documents once, and return those to be sent again, with the reason."""
        lines: list[object] = []
        for document in documents:
            options = {"version": document.version, "version_type": "external_gte"}
            lines += [{"index": {"_id": document.product_id, **options}}, dict(document.fields)]
        body = "".join(f"{simplejson.dumps(line, use_decimal=True)}\n" for line in lines)
        try:
            response = self._call(
                lambda: self._client.bulk(
                    body=body, index=NEXT_ALIAS, params={"require_alias": "true"}
                )
            )
        except _TemporaryError as failure:
            return list(documents), str(failure)
        again: list[Document] = []
        reason = ""
        for document, item in zip(documents, response["items"], strict=True):
            status = item["index"]["status"]
            if status in _SUCCESS or status == _CONFLICT:
                continue
            error = item["index"]["error"]
            reason = f"{error['type']}: {error['reason']}"
            if status < _SERVER_ERROR and status != _TOO_MANY:
                raise SearchClusterError(
                    f"{self.url} rejects the document of {document.product_id} ({reason})."
                )
            again.append(document)
        return again, reason

    def _call(self, operation: Callable[[], Any]) -> Any:  # noqa: ANN401 (JSON)
        try:
            return operation()
        except NotFoundError as failure:
            raise _MissingError(self._sentence(failure)) from failure
        except UnreachableError as failure:
            raise _TemporaryError(
                f"{self.url} does not respond: check the endpoint and the network."
            ) from failure
        except TransportError as failure:
            status = int(failure.status_code)
            is_temporary = status >= _SERVER_ERROR or status == _TOO_MANY
            kind = _TemporaryError if is_temporary else SearchClusterError
            raise kind(self._sentence(failure)) from failure
        except OpenSearchException as failure:
            raise SearchClusterError(
                f"{self.url} is no OpenSearch: check the endpoint ({failure})."
            ) from failure

    def _sentence(self, failure: TransportError) -> str:
        return f"{self.url} rejects a call ({failure.status_code} {failure.error})."


class _MissingError(SearchClusterError):
    """There is no such index or alias."""


class _TemporaryError(SearchClusterError):
    """The call may succeed later."""
