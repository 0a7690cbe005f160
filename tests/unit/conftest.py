"""Settings of the unit tests, which need no engine, no network and no environment variables."""

import tests.support.profiles  # noqa: F401 (registers the Hypothesis profile)
