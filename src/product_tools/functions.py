"""Names and routes of the Lambda functions: the only list in Python.

Terraform has a second list (`functions` in terraform/main.tf); a test compares the two.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Route(NamedTuple):
    """HTTP method and path of a function, in the format of API Gateway.

    Attributes:
        method: the HTTP method.
        path: the path below the API's base path, with parameters in braces.
    """

    method: str
    path: str


ENVIRONMENTS: Final = ("dev", "sit", "prod")
ROUTES: Final[Mapping[str, Route]] = {
    "list_products": Route("GET", "/products"),
    "get_product": Route("GET", "/products/{productId}"),
    "create_product": Route("POST", "/products"),
    "update_product": Route("PUT", "/products/{productId}"),
    "delete_product": Route("DELETE", "/products/{productId}"),
}
"""Routes by the names of the modules in `product_lambda.handlers`."""


def function_name(function: str, environment: str) -> str:
    """Return the deployed name of a function, such as `bbws-get-product-dev`."""
    return f"bbws-{function.replace('_', '-')}-{environment}"


def function_names(environment: str) -> list[str]:
    """Return the deployed names of all functions of an environment."""
    return [function_name(function, environment) for function in ROUTES]
