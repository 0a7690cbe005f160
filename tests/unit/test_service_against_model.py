"""The service on a catalogue in memory does what a simple model of it does, whatever the order."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.catalogue_machine import CatalogueMachine
from tests.support.fakes import FakeProductStore


class InMemory(CatalogueMachine):
    def empty_catalogue(self) -> FakeProductStore:
        return FakeProductStore()


def test_the_service_does_what_the_model_does() -> None:
    run_state_machine_as_test(InMemory, settings=settings(max_examples=100, stateful_step_count=40))
