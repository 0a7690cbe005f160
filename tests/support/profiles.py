"""Registers the Hypothesis profile of this repository when it is imported.

With CI=true every run uses the same examples. Otherwise examples differ, and a failure prints an
`@reproduce_failure` line that repeats it.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repository",
    deadline=None,  # engines can be slow; pytest-timeout ends a test that hangs
    derandomize=os.environ.get("CI") == "true",
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")
