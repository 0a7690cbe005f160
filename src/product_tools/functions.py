"""Names and routes of the Lambda functions: the only list in Python.

Terraform has a second list (`routes` in terraform/main.tf); a test compares the two.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Route(NamedTuple):
    """A method and a path of the API, in the format of API Gateway.

    Attributes:
        function: the function that serves it, by the name of its module.
        method: the HTTP method.
        path: the path below the API's base path, with parameters in braces.
        needs_key: whether a request needs an API key.
    """

    function: str
    method: str
    path: str
    needs_key: bool


ENVIRONMENTS: Final = ("dev", "sit", "prod")
ROUTES: Final[Mapping[str, Route]] = {
    "list_products": Route("list_products", "GET", "/products", needs_key=False),
    "get_product": Route("get_product", "GET", "/products/{productId}", needs_key=False),
    "create_product": Route("create_product", "POST", "/products", needs_key=True),
    "update_product": Route("update_product", "PUT", "/products/{productId}", needs_key=True),
    "delete_product": Route("delete_product", "DELETE", "/products/{productId}", needs_key=True),
    "list_deleted_products": Route("list_products", "GET", "/deleted-products", needs_key=True),
}
"""Routes by the names of their operations, as in the log."""
FUNCTIONS: Final = tuple(dict.fromkeys(route.function for route in ROUTES.values()))
"""The modules in `product_lambda.handlers`, one for each function of the API."""
EVENT_FUNCTIONS: Final = (
    "audit_logger",
    "cache_invalidator",
    "change_publisher",
    "product_creator",
    "search_indexer",
)
"""The modules in `product_lambda.event_handlers`, one for each function behind a switch."""


def function_name(function: str, environment: str) -> str:
    """Return the deployed name of a function, such as `bbws-get-product-dev`."""
    return f"bbws-{function.replace('_', '-')}-{environment}"


def function_names(environment: str) -> list[str]:
    """Return the deployed names of the API's functions in an environment."""
    return [function_name(function, environment) for function in FUNCTIONS]


def event_function_names(environment: str) -> list[str]:
    """Return the deployed names of the event functions, also of those that are switched off."""
    return [function_name(function, environment) for function in EVENT_FUNCTIONS]
