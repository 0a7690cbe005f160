"""`make credentials` with the state that Terraform's own backend has written on the local AWS."""

import os
import subprocess

import urllib3

from local.engine import CREDENTIALS
from local.stack import LocalStack
from product_tools.repository import REPOSITORY

COMMANDS = """
eval "$(make credentials ENVIRONMENT=dev)"
printf '%s\\n' "$BASE_URL" "$API_KEY"
"""


def test_printed_values_reach_deployed_api(stack: LocalStack) -> None:
    shell = subprocess.run(
        ["bash", "-euc", COMMANDS],
        cwd=REPOSITORY,
        env={**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": stack.endpoint_url},
        check=True,
        capture_output=True,
        text=True,
    )

    base_url, key = shell.stdout.splitlines()
    read = urllib3.request("GET", f"{base_url}/products", timeout=30)
    write = urllib3.request(
        "POST", f"{base_url}/products", headers={"x-api-key": key}, body=b"{}", timeout=30
    )
    assert (read.status, write.status) == (200, 400)
