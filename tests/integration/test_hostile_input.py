"""Input that no honest client sends: an answer that helps, and nothing of the inside in it."""

import pytest

from product_tools.functions import ROUTES
from tests.support.events import Functions
from tests.support.factory import product_body
from tests.support.hostile import faults_of, hostile_events


@pytest.mark.parametrize("function", ROUTES)
def test_no_hostile_input_is_a_fault_of_ours_or_tells_of_the_inside(
    functions_on_table: Functions, function: str
) -> None:
    functions_on_table.create(product_body(productId="PROD-001"))

    found = {
        f"{str(event)[:300]}": faults
        for event in hostile_events()
        if (faults := faults_of(functions_on_table.call(function, event)))
    }

    assert found == {}
