"""The Lambda functions of this service: the one list in Python of their names and routes.

Terraform has its own (`functions` in terraform/main.tf); a test compares the two.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Route(NamedTuple):
    """The route of a function, as API Gateway writes it.

    Attributes:
        method: the HTTP method.
        path: the path below the API's base path, with its parameters in braces.
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
"""The route of each function, by the name of its module in `product_lambda.handlers`."""


def function_name(function: str, environment: str) -> str:
    """Return the deployed name of a function, such as `bbws-get-product-dev`."""
    return f"bbws-{function.replace('_', '-')}-{environment}"


def function_names(environment: str) -> list[str]:
    """Return the deployed names of an environment's functions."""
    return [function_name(function, environment) for function in ROUTES]
