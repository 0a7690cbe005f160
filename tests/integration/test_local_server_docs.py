"""The OpenAPI page in a real browser: it loads from this machine alone, and its requests work."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.local_process import KEY, LocalProcess, local_server

_PATIENCE = 30  # seconds for the page to do what it was asked to


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProcess]:
    with local_server(tmp_path_factory.mktemp("docs") / "products") as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        needs = "needs Chromium and its driver (Debian: chromium and chromium-driver)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(needs)
    options = ChromeOptions()
    options.binary_location = program
    options.add_argument("--headless")
    options.add_argument("--no-sandbox")  # as root, as in containers, it starts in no other way
    options.add_argument("--disable-background-networking")
    options.add_argument("--disable-component-update")
    options.add_argument("--window-size=1280,2000")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as started:
        yield started


def _appeared(browser: Chrome, selector: str) -> WebElement:
    """The first such element, once it can be clicked."""
    found: WebElement = WebDriverWait(browser, _PATIENCE).until(
        expected.element_to_be_clickable((By.CSS_SELECTOR, selector))
    )
    return found


def _authorise(browser: Chrome) -> None:
    _appeared(browser, "button.authorize").click()
    _appeared(browser, ".auth-container input").send_keys(KEY)
    _appeared(browser, ".auth-btn-wrapper button[type=submit]").click()
    _appeared(browser, "button.btn-done").click()


def _try_out(browser: Chrome, operation: str) -> str:
    """Send an operation's request just as the page suggests it, and return the answer's status."""
    block = f"#operations-products-{operation}"
    _appeared(browser, f"{block} .opblock-summary-control").click()
    _appeared(browser, f"{block} button.execute").click()
    return _appeared(browser, f"{block} .live-responses-table tbody .response-col_status").text


def _log(browser: Chrome, kind: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def _requested(browser: Chrome) -> set[str]:
    """The addresses asked for over the network; Chromium's own pages are not among them."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["request"]["url"].startswith(("http", "ws"))
    }


def test_requests_can_be_tried_in_a_browser(
    server: LocalProcess, browser: Chrome, tmp_path: Path
) -> None:
    browser.get(f"{server.address}/docs")

    assert _try_out(browser, "listProducts") == "200"
    assert _try_out(browser, "deleteProduct") == "403"
    _authorise(browser)
    assert _try_out(browser, "createProduct") == "201"
    assert browser.save_screenshot(str(tmp_path / "docs.png"))
    faults = [entry for entry in _log(browser, "browser") if entry["level"] == "SEVERE"]
    assert [fault["message"].split(" - ")[0] for fault in faults] == [
        f"{server.address}/v1.0/products/PROD-002"  # the 403 above
    ]


def test_the_page_needs_no_network(server: LocalProcess, browser: Chrome) -> None:
    browser.get(f"{server.address}/")
    _appeared(browser, "button.authorize")
    requested = _requested(browser)

    assert browser.current_url == f"{server.address}/docs"
    assert f"{server.address}/openapi.json" in requested
    assert {url for url in requested if not url.startswith(f"{server.address}/")} == set()
    assert _log(browser, "browser") == []  # nothing that the page's own policy had to stop


def test_the_page_forbids_what_would_come_from_elsewhere(server: LocalProcess) -> None:
    page = urllib3.request("GET", f"{server.address}/docs")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; ")


def test_the_description_names_this_server_alone(server: LocalProcess) -> None:
    response = urllib3.request("GET", f"{server.address}/openapi.json")
    document = response.json()

    assert response.headers["Content-Type"] == "application/json"
    assert document["openapi"] == "3.0.3"
    assert [entry["url"] for entry in document["servers"]] == ["/v1.0"]


@pytest.mark.parametrize(
    "path", ["/docs/none.js", "/docs/", "/docs/swagger-ui.js", "/openapi.yaml"]
)
def test_nothing_else_is_served(server: LocalProcess, path: str) -> None:
    response = urllib3.request("GET", f"{server.address}{path}", redirect=False)

    assert (response.status, response.headers["Content-Type"]) == (404, "application/problem+json")
