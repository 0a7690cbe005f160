"""Builds the search index anew from the catalogue, while changes go on being indexed.

docs/adr/0034-search-index.md has the reasons for its order.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import batched, chain
from typing import Any, Final, NamedTuple, Protocol

from product_tools.api_client import ApiClient
from product_tools.catalogue_sync import (
    active_products_shown,
    product_shown,
    retired_products_shown,
)
from product_tools.search_cluster import (
    ALIAS,
    NEXT_ALIAS,
    Document,
    Known,
    SearchCluster,
    SearchClusterError,
)

SETTLE_SECONDS: Final = 15.0
"""Longer than `search_indexer` may run, which is 9 seconds: a batch that began before the new index
existed has ended."""
_BATCH: Final = 50  # products, of 64 KB at most


class RebuildError(Exception):
    """The index was not rebuilt; the message is one sentence with the next step."""


class Documents(Protocol):
    """How products become documents: `product_lambda.models.search_document`."""

    def version_of(self, timestamp: str) -> int:
        """Return the version of the state that a change at this time led to."""

    def document_of(self, product: Mapping[str, Any], changed_at: str, version: int) -> Document:
        """Return the document of a product as the API shows it."""

    def absence_of(self, product_id: str, changed_at: str, version: int) -> Document:
        """Return the document of a product that is not on offer."""


class Progress(NamedTuple):
    """How far a rebuild is.

    Attributes:
        name: the new index.
        step: what happens now.
        documents: how many documents were stored.
    """

    name: str
    step: str
    documents: int


class Rebuild:
    """One rebuild.

    Args:
        cluster: the indexes.
        api: the API whose catalogue is indexed, with a key for the deleted products.
        documents: how products become documents.
        settle_seconds: how long to wait until all running batches of `search_indexer` have ended.
    """

    def __init__(
        self,
        cluster: SearchCluster,
        api: ApiClient,
        documents: Documents,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._documents = documents
        self._settle_seconds = settle_seconds
        self._stored = 0
        self.index = f"{ALIAS}-{datetime.now(UTC):%Y%m%dt%H%M%S%f}"

    def run(self, show: Callable[[Progress], None], *, discard: bool = False) -> int:
        """Rebuild the index, and return the number of documents.

        After a failure the new index is deleted, and searches find what they found before.

        Args:
            show: called at each step.
            discard: whether to delete the index of a rebuild that has not ended.

        Raises:
            RebuildError: another rebuild has not ended, or the catalogue is empty.
            SearchClusterError: OpenSearch rejects a call or does not respond.
            ApiUnavailableError: the catalogue could not be read.
        """
        self._require_no_other(discard=discard)
        former = self._cluster.indexes_of(ALIAS)
        try:
            self._report(show, "creating the index")
            self._cluster.create(self.index)
            known = self._known_of(former, show)
            for documents in batched(self._documents_of(known), _BATCH):
                self._cluster.store(documents)
                self._stored += len(documents)
                self._report(show, "storing the catalogue")
            self._report(show, "moving the alias")
            self._move(former)
        except BaseException:
            self._clean_up()
            raise
        return self._stored

    def _require_no_other(self, *, discard: bool) -> None:
        for unfinished in self._cluster.indexes_of(NEXT_ALIAS):
            if not discard:
                raise RebuildError(
                    f"The index {unfinished} is being filled: wait for the other rebuild, or add"
                    " --discard if it was interrupted."
                )
            self._cluster.delete(unfinished)

    def _known_of(
        self, former: Iterable[str], show: Callable[[Progress], None]
    ) -> dict[str, Known]:
        """Return what the former index has, once each running batch writes to the new one."""
        known: dict[str, Known] = {}
        for index in former:
            self._report(show, f"waiting for {self._settle_seconds:g} s")
            time.sleep(self._settle_seconds)
            known |= self._cluster.known(index)
        return known

    def _documents_of(self, known: dict[str, Known]) -> Iterator[Document]:
        """Yield the documents of the catalogue, and those that only the former index has.

        The former index is read before the catalogue: so what the API shows by id is as new as what
        the index has, or newer.
        """
        had_some = any(not each.is_deleted for each in known.values())
        has_some = False
        shown = chain(active_products_shown(self._api), retired_products_shown(self._api))
        for product in shown:
            has_some = has_some or product["active"]
            yield self._document_of(product, known.pop(product["productId"], None))
        if had_some and not has_some:
            raise RebuildError(
                f"{self._api.base_url} has no product, but the search index has some: check the"
                " address of the API."
            )
        for product_id, former in known.items():
            yield self._current(product_id, former)

    def _document_of(self, product: Mapping[str, Any], former: Known | None) -> Document:
        changed_at = product["updatedAt"]
        version = self._documents.version_of(changed_at)
        if former is not None and version < former.version:
            # The list is behind, or another program has left `updatedAt`.
            return self._current(product["productId"], former)
        return self._documents.document_of(product, changed_at, version)

    def _current(self, product_id: str, former: Known) -> Document:
        """Return the document of a product as a consistent read shows it.

        Its version is a microsecond after that of the former index, so that a repeated event of
        that state does not replace it. A later change is later by a microsecond at least.
        """
        product = product_shown(self._api, product_id)
        if product is None:
            version = former.version if former.is_deleted else former.version + 1
            return self._documents.absence_of(product_id, former.changed_at, version)
        changed_at = product["updatedAt"]
        version = self._documents.version_of(changed_at)
        if version <= former.version:
            changed_at, version = former.changed_at, former.version + 1
        return self._documents.document_of(product, changed_at, version)

    def _move(self, former: Iterable[str]) -> None:
        try:
            self._cluster.move(self.index, former)
        except SearchClusterError:
            # Only the response may be lost.
            if self._cluster.indexes_of(ALIAS) != [self.index]:
                raise

    def _clean_up(self) -> None:
        """Delete the new index, unless it may be the one that is searched."""
        with contextlib.suppress(SearchClusterError):
            if self.index not in self._cluster.indexes_of(ALIAS):
                self._cluster.delete(self.index)

    def _report(self, show: Callable[[Progress], None], step: str) -> None:
        show(Progress(self.index, step, self._stored))
