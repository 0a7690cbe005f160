"""Sends thousands of valid and invalid requests that schemathesis generates from the OpenAPI file.

FUZZ_SEED selects the requests; schemathesis prints it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product_api import ProductApi
from tests.support.response_check import OPENAPI_FILE

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
MIN_REQUESTS = 2000


@pytest.mark.timeout(600)
def test_random_requests_get_documented_responses(api: ProductApi, tmp_path: Path) -> None:
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
    assert result.returncode == 0, "schemathesis found the errors above"
    requests = len(json.loads(sent.read_bytes())["log"]["entries"])
    assert requests >= MIN_REQUESTS, f"only {requests} requests were sent"
