"""Validates products with the request models of the functions, as the API does, without a request.

It is the only module of the commands that knows the functions. An API that runs another release may
have other rules.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from product_lambda.exceptions import ProductServiceException
from product_lambda.models.requests import CreateProductRequest, UpdateProductRequest
from product_lambda.utils.request import HttpRequest
from product_lambda.validators.body import parse_body
from product_tools.api_client import encoded


def creation_errors(body: Mapping[str, object]) -> str:
    """Return the validation errors of the body of a creation, empty if it is valid."""
    return _errors(body, CreateProductRequest)


def change_errors(body: Mapping[str, object]) -> str:
    """Return the validation errors of the body of a change, empty if it is valid."""
    return _errors(body, UpdateProductRequest)


def _errors(body: Mapping[str, object], model: type[BaseModel]) -> str:
    request = HttpRequest(
        request_id="",
        api_key_id="",
        path="",
        path_parameters={},
        query={},
        headers={},
        body=encoded(body),
    )
    try:
        parse_body(request, model)
    except ProductServiceException as rejection:
        errors = [f"{error.field}: {error.message}" for error in rejection.errors]
        return f"HTTP {rejection.status}: {'; '.join(errors) or rejection.detail}"
    return ""
