"""Thousands of requests that schemathesis makes from the OpenAPI file, valid and not, of its seed.

FUZZ_SEED repeats or varies a run; the run prints it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.judge import OPENAPI_FILE
from tests.support.product_api import ProductApi

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
FEWEST_REQUESTS = 2000


@pytest.mark.timeout(600)
def test_random_requests_get_only_answers_that_the_openapi_file_describes(
    api: ProductApi, tmp_path: Path
) -> None:
    sent = tmp_path / "sent.har"
    command = [sys.executable, "-m", "schemathesis.cli"]
    command += ["--config-file", str(_HERE / "schemathesis.toml"), "run", str(OPENAPI_FILE)]
    command += ["--url", api.base_url, "--seed", os.environ.get("FUZZ_SEED", "1")]
    command += ["--report-har-path", str(sent)]
    result = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "API_KEY": api.api_key},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert result.returncode == 0, "schemathesis found what it tells above"
    requests = len(json.loads(sent.read_bytes())["log"]["entries"])
    assert requests >= FEWEST_REQUESTS, f"only {requests} requests were sent"
