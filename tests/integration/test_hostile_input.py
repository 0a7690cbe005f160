"""Sends hostile input to every function: no server error and no internal details in a response."""

import pytest

from product_tools.functions import FUNCTIONS
from tests.support.events import Functions
from tests.support.factory import product_body
from tests.support.hostile import hostile_events, violations


@pytest.mark.parametrize("function", FUNCTIONS)
def test_hostile_input_gets_helpful_response(functions_on_table: Functions, function: str) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))

    found = {
        f"{str(event)[:300]}": broken
        for event in hostile_events()
        if (broken := violations(functions_on_table.call(function, event)))
    }

    assert found == {}
