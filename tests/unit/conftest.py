"""Settings of the unit tests: they need no engine, no network and no environment variables."""

import tests.support.profiles  # noqa: F401 (registers the Hypothesis profile)
