"""Makes events of API Gateway for the functions, and reads the functions' responses.

Source: Amazon API Gateway Developer Guide, "Set up Lambda proxy integrations in API Gateway".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import simplejson

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.utils.request import HttpRequest

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
API_KEY_ID = "a1b2c3d4e5"
API_KEY_VALUE = "the-value-of-the-api-key"


@dataclass(frozen=True, slots=True)
class FunctionResponse:
    """The response of a function."""

    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:
        """Return the document in the body; numbers with a fraction become Decimal."""
        return simplejson.loads(self.body, use_decimal=True)

    def problem(self) -> str:
        """Return the last part of the problem type."""
        assert self.headers["Content-Type"] == "application/problem+json"
        kind: str = self.json()["type"]
        return kind.removeprefix("tag:kimmyai.io,2026:")

    def errors(self) -> list[tuple[str, str]]:
        """Return the errors of a problem document: field and message."""
        return [(error["field"], error["message"]) for error in self.json()["errors"]]


def gateway_event(
    *,
    product_id: str | None = None,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Return a REST API proxy event with the parts that the functions read."""
    parameters = {name: str(value) for name, value in (query or {}).items()}
    lines = {"x-api-key": API_KEY_VALUE, **(headers or {})}
    return {
        "pathParameters": {"productId": product_id} if product_id is not None else None,
        "queryStringParameters": parameters or None,
        "multiValueQueryStringParameters": {n: [v] for n, v in parameters.items()} or None,
        "headers": lines,
        "multiValueHeaders": {name: [value] for name, value in lines.items()},
        "requestContext": {
            "requestId": REQUEST_ID,
            "path": "/v1.0/products" + (f"/{product_id}" if product_id is not None else ""),
            "identity": {"apiKey": API_KEY_VALUE, "apiKeyId": API_KEY_ID},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def tag_of(product: Mapping[str, Any], version: int | None = None) -> str:
    """Return the entity tag of a product in a response, or of another version of it."""
    moment = "".join(filter(str.isdigit, product["updatedAt"]))
    return f'"{product["version"] if version is None else version}-{moment}"'


def as_json(document: object) -> str:
    """Return JSON text; a Decimal keeps its digits."""
    return simplejson.dumps(document, use_decimal=True)


class Functions:
    """The five functions, called like Lambda calls them."""

    def __init__(self, handlers: Mapping[str, ModuleType]) -> None:
        self._handlers = handlers

    def call(self, name: str, event: Any) -> FunctionResponse:
        """Call a function with an unchanged event."""
        response = self._handlers[name].handler(event, object())
        assert response["isBase64Encoded"] is False
        # Lambda's runtime encodes a response like this, and text with a lone surrogate would fail.
        simplejson.dumps(response, ensure_ascii=False).encode("utf-8")
        return FunctionResponse(response["statusCode"], response["headers"], response["body"])

    def list(self, headers: Mapping[str, str] | None = None, **query: object) -> FunctionResponse:
        """GET /products."""
        return self.call("list_products", gateway_event(headers=headers, query=query))

    def get(self, product_id: str, headers: Mapping[str, str] | None = None) -> FunctionResponse:
        """GET /products/{productId}."""
        return self.call("get_product", gateway_event(product_id=product_id, headers=headers))

    def create(
        self, document: object, headers: Mapping[str, str] | None = None
    ) -> FunctionResponse:
        """POST /products; text is sent unchanged, anything else as JSON."""
        body = document if isinstance(document, str) else as_json(document)
        return self.call("create_product", gateway_event(body=body, headers=headers))

    def update(
        self, product_id: str, document: object, headers: Mapping[str, str] | None = None
    ) -> FunctionResponse:
        """PUT /products/{productId}; text is sent unchanged, anything else as JSON."""
        body = document if isinstance(document, str) else as_json(document)
        event = gateway_event(product_id=product_id, body=body, headers=headers)
        return self.call("update_product", event)

    def delete(self, product_id: str, headers: Mapping[str, str] | None = None) -> FunctionResponse:
        """DELETE /products/{productId}."""
        return self.call("delete_product", gateway_event(product_id=product_id, headers=headers))


def errors_found_by(check: Callable[[], object]) -> tuple[FieldError, ...] | None:
    """Return the errors of a check; None if there are none."""
    try:
        check()
    except ValidationException as rejected:
        return rejected.errors
    return None


def http_request(**fields: Any) -> HttpRequest:
    """Return a parsed request; `fields` replace its defaults."""
    return HttpRequest(
        **{
            "request_id": REQUEST_ID,
            "api_key_id": API_KEY_ID,
            "path": "/v1.0/products",
            "path_parameters": {},
            "query": {},
            "headers": {},
            "body": b"",
            **fields,
        }
    )
