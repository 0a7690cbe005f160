"""The service with a store in memory agrees with a simple model, for random requests."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.catalogue_machine import CatalogueMachine
from tests.support.fakes import FakeProductStore


class InMemory(CatalogueMachine):
    def empty_store(self) -> FakeProductStore:
        return FakeProductStore()


def test_service_agrees_with_model() -> None:
    run_state_machine_as_test(InMemory, settings=settings(max_examples=100, stateful_step_count=40))
