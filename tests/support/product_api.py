"""A client of the API that sends exactly what a test gives it, and checks every response.

It follows no redirect. It retries only throttled requests, which never reached a function.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import simplejson
import urllib3
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection

from tests.support.factory import product_body
from tests.support.response_check import (
    UNEVALUATED_REQUEST_ID,
    ApiResponse,
    check_response,
)

type Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_THROTTLE_SECONDS = 60  # how long to retry throttled requests


class ProductApi:
    """The API at `base_url`, which ends just before `/products`; writes use `api_key`."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=30)
        self._request_ids: set[str] = set()
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> ApiResponse:
        """Send a request to `target`, which follows the base URL; chunk an iterable body."""
        deadline = time.monotonic() + _THROTTLE_SECONDS
        while True:
            raw = self._pool.request(
                method,
                self.base_url + target,
                headers=HTTPHeaderDict(headers),
                body=body,
                redirect=False,
            )
            response = ApiResponse(
                method,
                urlsplit(target).path,
                raw.status,
                raw.headers,
                raw.data,
                urlsplit(target).query,
            )
            check_response(response)
            # check_response knows where a request id is required.
            request_id = response.headers.get("X-Request-Id", UNEVALUATED_REQUEST_ID)
            if request_id != UNEVALUATED_REQUEST_ID:
                self._remember(request_id)
            if response.status != 429 or time.monotonic() > deadline:
                return response
            time.sleep(int(response.headers["Retry-After"]))

    def request_raw_target(self, method: str, target: str) -> ApiResponse:
        """Send a request whose target is not normalised first, as urllib3 does otherwise."""
        base = urlsplit(self.base_url)
        assert base.hostname
        connection = HTTPConnection(base.hostname, base.port, timeout=30)
        connection.request(method, base.path + target)
        raw = connection.getresponse()
        path = target.partition("?")[0]
        response = ApiResponse(method, path, raw.status, raw.headers, raw.data)
        connection.close()
        check_response(response)
        return response

    def write(
        self, method: str, target: str, document: object = None, headers: Headers = ()
    ) -> ApiResponse:
        """Send a write with the API key; bytes are sent unchanged, other documents as JSON."""
        sent = HTTPHeaderDict({"x-api-key": self.api_key})
        sent.extend(headers)
        if document is None:
            return self.request(method, target, headers=sent)
        sent.setdefault("Content-Type", "application/json")
        body = (
            document
            if isinstance(document, bytes)
            else simplejson.dumps(document, use_decimal=True).encode()
        )
        return self.request(method, target, headers=sent, body=body)

    def list_products(self, headers: Headers = (), /, **parameters: object) -> ApiResponse:
        """GET /products."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.request("GET", f"/products{query}", headers=headers)

    def list_deleted_products(self, headers: Headers = (), /, **parameters: object) -> ApiResponse:
        """GET /deleted-products, with the API key."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.write("GET", f"/deleted-products{query}", headers=headers)

    def get_product(self, product_id: str, headers: Headers = ()) -> ApiResponse:
        """GET /products/{productId}."""
        return self.request("GET", f"/products/{product_id}", headers=headers)

    def create_product(self, document: object, headers: Headers = ()) -> ApiResponse:
        """POST /products."""
        return self.write("POST", "/products", document, headers)

    def update_product(
        self, product_id: str, document: object, headers: Headers = ()
    ) -> ApiResponse:
        """PUT /products/{productId}."""
        return self.write("PUT", f"/products/{product_id}", document, headers)

    def delete_product(self, product_id: str, headers: Headers = ()) -> ApiResponse:
        """DELETE /products/{productId}."""
        return self.write("DELETE", f"/products/{product_id}", headers=headers)

    def new_product(self, **fields: object) -> dict[str, Any]:
        """Create a product for one test, and return it as in the response."""
        created = self.create_product(product_body(**fields))
        assert created.status == 201, created
        product: dict[str, Any] = created.json()
        return product

    def tag_of(self, product_id: str) -> str:
        """Read a product, and return its current entity tag."""
        tag: str = self.get_product(product_id).headers["ETag"]
        return tag

    def _remember(self, request_id: str) -> None:
        with self._lock:
            assert request_id not in self._request_ids, f"the request id {request_id} is repeated"
            self._request_ids.add(request_id)
