"""The service with a real engine agrees with a simple model, for random requests."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository
from tests.integration.conftest import new_table
from tests.support.catalogue_machine import CatalogueMachine


def test_service_agrees_with_model_on_engine(engine: str) -> None:
    class OnEngine(CatalogueMachine):
        def empty_store(self) -> ProductRepository:
            return ProductRepository(new_table(engine), Deadline(60))

    run_state_machine_as_test(OnEngine, settings=settings(max_examples=10, stateful_step_count=30))
