"""Walks a list from page to page, as a client does with nextToken."""

from collections.abc import Iterator
from typing import Protocol

from product_lambda.models.product import Page, PageRequest, Product


class _Store(Protocol):
    def page(self, request: PageRequest) -> Page: ...


def pages_of(store: _Store, request: PageRequest) -> Iterator[Page]:
    """Yield the page of a request, and each page after it."""
    while True:
        page = store.page(request)
        yield page
        if page.next_cursor is None:
            return
        request = request._replace(cursor=page.next_cursor, offset=0)


def listed(store: _Store, request: PageRequest) -> list[Product]:
    """Return the products on all pages."""
    return [product for page in pages_of(store, request) for product in page.products]
