"""The function that CloudFront runs for the firewall, in Node.js instead of CloudFront."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from product_tools.terraform import TERRAFORM_FOLDER
from tests.support.optional_tools import skip_test_without

HEADER = "true-client-ip"
CODE = TERRAFORM_FOLDER / "templates" / "viewer_address.js"


def request_for_the_origin(headers: dict[str, Any]) -> dict[str, Any]:
    event = {
        "viewer": {"ip": "198.51.100.7"},
        "request": {"method": "GET", "uri": "/v1.0/products", "headers": headers},
    }
    program = f"{CODE.read_text()}\nconsole.log(JSON.stringify(handler({json.dumps(event)})));"
    node = shutil.which("node") or skip_test_without("Node.js: install version 20 or newer")
    completed = subprocess.run(
        [node, "-e", program], capture_output=True, text=True, check=True, timeout=60
    )
    request: dict[str, Any] = json.loads(completed.stdout)
    return request


@pytest.mark.parametrize("sent", [{}, {HEADER: {"value": "203.0.113.9"}}], ids=["none", "forged"])
def test_header_has_address_of_viewer_whatever_was_sent(sent: dict[str, Any]) -> None:
    other = {"x-forwarded-for": {"value": "203.0.113.9"}, "accept": {"value": "*/*"}}
    request = request_for_the_origin({**other, **sent})
    assert request == {
        "method": "GET",
        "uri": "/v1.0/products",
        "headers": {**other, HEADER: {"value": "198.51.100.7"}},
    }
