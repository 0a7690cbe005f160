"""The test modules that take longest, in the order of their time.

A parallel run starts them first: where one began last, the other workers would wait for its end.
"""

import pytest

E2E = (
    "e2e/test_runbooks",
    "e2e/test_prod",
    "e2e/test_terraform",
    "e2e/test_access",
    "e2e/test_event_plans",
    "e2e/test_recovery_drill",
    "e2e/test_traffic",
)
TESTS = (
    "integration/test_local_server_state",
    "integration/test_packaging",
    "integration/test_preflight_pipelines",
    "integration/test_local_server_life",
    "integration/test_dead_letters",
    "integration/test_shift_traffic",
    "integration/test_admin_guide",
    "integration/test_delete_old_versions",
    "integration/test_events_soak_short",
    "integration/test_soak_short",
    "integration/test_readme",
)
MODULES = (*E2E, *TESTS)
"""At least all modules with more than 50 seconds in `make test` or 60 seconds in `make e2e`."""


def sort(items: list[pytest.Item]) -> None:
    """Move the tests of these modules to the front; the others keep their order."""
    ranks = {module: rank for rank, module in enumerate(MODULES)}
    items.sort(key=lambda item: ranks.get(module_of(item), len(ranks)))


def module_of(item: pytest.Item) -> str:
    """Return the folder and the name of a test's module, as they are listed here."""
    return f"{item.path.parent.name}/{item.path.stem}"
