"""How Hypothesis searches in this repository: registered once, by whoever imports this first.

With CI=true the examples are the same on each run; elsewhere they differ, and a failure prints the
`@reproduce_failure` line that brings it back.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repository",
    deadline=None,  # engines and a busy machine take their time; pytest-timeout ends what hangs
    derandomize=os.environ.get("CI") == "true",
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")
