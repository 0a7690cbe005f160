"""OpenSearch for tests: the stand-in, or the server at PRODUCT_OPENSEARCH_URL if that is set."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import simplejson
import urllib3

from product_tools.repository import REPOSITORY
from tests.support.search_server import SearchServer, search_server

SERVER_VARIABLE: Final = "PRODUCT_OPENSEARCH_URL"
FIRST_INDEX: Final = "products-20260101t000000"
MAPPING: Final[Mapping[str, Any]] = json.loads(
    (REPOSITORY / "schemas/search-index.json").read_text("utf-8")
)
ON_OFFER: Final[Mapping[str, Any]] = {"filter": {"term": {"deleted": False}}}


class Response(NamedTuple):
    """A response with its JSON; numbers are exact."""

    status: int
    body: Any


class SearchEngine:
    """A server without indexes of products.

    Attributes:
        url: its URL.
        stand_in: the stand-in; None for a real server.
    """

    def __init__(self, url: str, stand_in: SearchServer | None) -> None:
        self.url = url
        self.stand_in = stand_in
        self._pool = urllib3.PoolManager(retries=False, timeout=30)

    def send(self, method: str, path: str, body: object = None) -> Response:
        """Send a request; text is sent as it is."""
        text = body if isinstance(body, str) else simplejson.dumps(body, use_decimal=True)
        response = self._pool.request(
            method,
            f"{self.url}{path}",
            body=None if body is None else text.encode(),
            headers={"Content-Type": "application/json"},
        )
        return Response(response.status, json.loads(response.data, parse_float=Decimal))

    def create(
        self,
        index: str = FIRST_INDEX,
        *,
        mappings: Mapping[str, Any] | None = None,
        aliases: Sequence[str] = ("products",),
    ) -> None:
        """Create an index; the alias `products` leads to products on offer only."""
        options = {"mappings": mappings or MAPPING["mappings"]}
        names = {name: ON_OFFER if name == "products" else {} for name in aliases}
        response = self.send("PUT", f"/{index}", {**options, "aliases": names})
        assert response.status == 200, response

    def bulk(self, target: str, *lines: object, query: str = "") -> list[Any]:
        """Send the lines of a bulk request, and return the result of each action."""
        text = "".join(f"{simplejson.dumps(line, use_decimal=True)}\n" for line in lines)
        response = self.send("POST", f"/{target}/_bulk{query}", text)
        assert response.status == 200, response
        return [item["index"] for item in response.body["items"]]

    def hits(self, target: str, query: Mapping[str, Any] | None = None) -> list[Any]:
        """Return what a search finds after a refresh, with versions, in the order of ids."""
        self.send("POST", f"/{target}/_refresh")
        options = {"size": 1000, "version": True, "sort": [{"productId": "asc"}]}
        response = self.send(
            "POST", f"/{target}/_search", {**options, "query": query or {"match_all": {}}}
        )
        assert response.status == 200, response
        found: list[Any] = response.body["hits"]["hits"]
        return found

    def documents(self, target: str = "products") -> dict[str, Any]:
        """Return the documents that a search finds, by product."""
        return {hit["_id"]: hit["_source"] for hit in self.hits(target)}

    def indexes_of(self, alias: str) -> list[str]:
        """Return the indexes that an alias leads to."""
        response = self.send("GET", f"/_alias/{alias}")
        return sorted(response.body) if response.status == 200 else []

    def clear(self) -> None:
        """Delete all indexes of a real server."""
        for index in self.send("GET", "/_cat/indices/products*?format=json").body:
            self.send("DELETE", f"/{index['index']}")


@contextlib.contextmanager
def search_engine() -> Iterator[SearchEngine]:
    """Return an empty server until the end of the block.

    A real server belongs to one test at a time, so its tests cannot run in parallel.
    """
    if url := os.environ.get(SERVER_VARIABLE):
        engine = SearchEngine(url.rstrip("/"), None)
        engine.clear()
        try:
            yield engine
        finally:
            engine.clear()
        return
    with search_server() as server:
        yield SearchEngine(server.url, server)
