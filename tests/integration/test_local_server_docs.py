"""The OpenAPI page in a real browser: it loads from this machine only, and its requests work."""

import json
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
from tests.support.optional_tools import skip_test_without
from tests.support.response_check import OPENAPI_FILE

_TIMEOUT_SECONDS = 30  # for each step on the page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProcess]:
    with local_server(tmp_path_factory.mktemp("docs") / "products") as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        skip_test_without("Chromium and its driver (Debian: chromium and chromium-driver)")
    options = ChromeOptions()
    options.binary_location = program
    options.add_argument("--headless")
    options.add_argument("--no-sandbox")  # needed to start as root, as in containers
    options.add_argument("--disable-background-networking")
    options.add_argument("--disable-component-update")
    options.add_argument("--window-size=1280,2000")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as started:
        yield started


def _element(browser: Chrome, selector: str) -> WebElement:
    """Return the first matching element, as soon as a click on it is possible."""
    found: WebElement = WebDriverWait(browser, _TIMEOUT_SECONDS).until(
        expected.element_to_be_clickable((By.CSS_SELECTOR, selector))
    )
    return found


def _enter_key(browser: Chrome) -> None:
    _element(browser, "button.authorize").click()
    _element(browser, ".auth-container input").send_keys(KEY)
    _element(browser, ".auth-btn-wrapper button[type=submit]").click()
    _element(browser, "button.btn-done").click()


def _try_out(browser: Chrome, operation: str) -> str:
    """Send the request that the page suggests, and return the status of the response."""
    block = f"#operations-products-{operation}"
    _element(browser, f"{block} .opblock-summary-control").click()
    _element(browser, f"{block} button.execute").click()
    return _element(browser, f"{block} .live-responses-table tbody .response-col_status").text


def _log(browser: Chrome, kind: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def _requested(browser: Chrome) -> set[str]:
    """Return the URLs of all network requests, without those of Chromium's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(browser, "performance")]
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["request"]["url"].startswith(("http", "ws"))
    }


def test_page_sends_requests(server: LocalProcess, browser: Chrome, tmp_path: Path) -> None:
    browser.get(f"{server.address}/docs")

    assert _try_out(browser, "listProducts") == "200"
    assert _try_out(browser, "deleteProduct") == "403"
    _enter_key(browser)
    assert _try_out(browser, "createProduct") == "201"
    assert browser.save_screenshot(str(tmp_path / "docs.png"))
    errors = [entry for entry in _log(browser, "browser") if entry["level"] == "SEVERE"]
    assert [error["message"].split(" - ")[0] for error in errors] == [
        f"{server.address}/v1.0/products/PROD-002"  # the 403 above
    ]


def test_page_fits_a_phone(server: LocalProcess, browser: Chrome, tmp_path: Path) -> None:
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(f"{server.address}/docs")
    _element(browser, "button.authorize")

    assert _try_out(browser, "listProducts") == "200"
    for summary in browser.find_elements(
        By.CSS_SELECTOR, ".opblock:not(.is-open) .opblock-summary-control"
    ):
        browser.execute_script("arguments[0].click()", summary)
    _element(browser, "#operations-products-deleteProduct tbody .response-col_links")
    assert browser.save_screenshot(str(tmp_path / "phone.png"))
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390


def test_page_loads_only_from_its_server(server: LocalProcess, browser: Chrome) -> None:
    browser.get(f"{server.address}/")
    _element(browser, "button.authorize")
    requested = _requested(browser)

    assert browser.current_url == f"{server.address}/docs"
    assert f"{server.address}/openapi.json" in requested
    assert {url for url in requested if not url.startswith(f"{server.address}/")} == set()
    assert _log(browser, "browser") == []  # the content security policy blocked nothing


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_page_has_content_security_policy(server: LocalProcess, path: str) -> None:
    page = urllib3.request("GET", f"{server.address}{path}")

    assert page.status == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; ")


def test_openapi_document_names_only_this_server(server: LocalProcess) -> None:
    response = urllib3.request("GET", f"{server.address}/openapi.json")
    document = response.json()

    assert response.headers["Content-Type"] == "application/json"
    assert document["openapi"] == "3.1.0"
    assert [entry["url"] for entry in document["servers"]] == ["/v1.0"]


def test_openapi_file_is_served_unchanged(server: LocalProcess) -> None:
    response = urllib3.request("GET", f"{server.address}/openapi.yaml")

    assert response.headers["Content-Type"] == "application/yaml"
    assert response.data == OPENAPI_FILE.read_bytes()


@pytest.mark.parametrize("path", ["/docs/none.js", "/docs//", "/docs/swagger-ui.js", "/openapi"])
def test_unknown_page_file_returns_404(server: LocalProcess, path: str) -> None:
    response = urllib3.request("GET", f"{server.address}{path}", redirect=False)

    assert (response.status, response.headers["Content-Type"]) == (404, "application/problem+json")
