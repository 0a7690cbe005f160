"""The local server over real HTTP, with valid and invalid requests."""

import json
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from urllib3 import BaseHTTPResponse

from tests.support.factory import product_body
from tests.support.local_process import KEY, LocalProcess, local_server
from tests.support.waiting import eventually

_LARGEST_BODY = 10 * 1024 * 1024
_LAST_HEADER = "Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProcess]:
    with local_server(tmp_path_factory.mktemp("local") / "products") as running:
        yield running


def _send(
    server: LocalProcess,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None = None,
    **headers: str,
) -> BaseHTTPResponse:
    return urllib3.request(
        method,
        f"{server.address}{path}",
        body=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        redirect=False,
        retries=False,
        timeout=20,
    )


def _send_raw(server: LocalProcess, raw: bytes) -> bytes:
    """Send these bytes, and return everything until the server closes the connection."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(raw)
        response = b""
        while received := connection.recv(65536):
            response += received
    return response


def _assert_responds(server: LocalProcess) -> None:
    assert _send(server, "GET", "/v1.0/products?limit=1").status == 200


def test_large_response_is_compressed_for_a_browser(server: LocalProcess) -> None:
    body = json.dumps(product_body(description="All that the plan has. " * 100)).encode()
    sent = {"x_api_key": KEY, "Content_Type": "application/json"}
    created = _send(
        server, "POST", "/v1.0/products", body, Accept_Encoding="gzip, deflate, br, zstd", **sent
    )
    assert created.headers["Content-Encoding"] == "gzip"
    path = f"/v1.0/products/{created.json()['productId']}"

    compressed = _send(server, "GET", path, Accept_Encoding="gzip, deflate, br, zstd")
    plain = _send(server, "GET", path)

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert int(compressed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["ETag"] == plain.headers["ETag"] == created.headers["ETag"]
    assert compressed.json() == plain.json() == created.json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1.0/products?limit=1", 200),
        ("GET", "/v1.0/products/PROD-NONE", 404),
        ("GET", "/v1.0/orders", 404),
        ("PATCH", "/v1.0/products", 405),
        ("POST", "/v1.0/products", 403),
        ("OPTIONS", "/v1.0/products", 204),
    ],
)
def test_response_has_common_headers(
    server: LocalProcess, method: str, path: str, status: int
) -> None:
    response = _send(server, method, path)

    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Expose-Headers"].startswith("ETag, Location,")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == ("no-cache" if status == 200 else "no-store")
    assert re.fullmatch("[0-9a-f-]{36}", response.headers["X-Request-Id"])
    if status >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["instance"] == response.headers["X-Request-Id"]


def test_product_is_created_read_updated_and_deleted(server: LocalProcess) -> None:
    body = json.dumps(product_body(name="Ünïcödé ☂")).encode()
    created = _send(server, "POST", "/v1.0/products", body, x_api_key=KEY)
    path = created.headers["Location"]

    assert created.status == 201
    assert _send(server, "GET", path).json()["name"] == "Ünïcödé ☂"
    assert _send(server, "GET", path, If_None_Match=created.headers["ETag"]).status == 304
    changed = _send(server, "PUT", path, b'{"price": 19.90}', X_API_KEY=KEY)
    assert (changed.status, changed.json()["price"]) == (200, 19.9)
    deleted = _send(server, "DELETE", path, x_api_key=KEY, if_match=changed.headers["ETag"])
    assert (deleted.status, deleted.data) == (204, b"")


def test_head_of_unknown_path_returns_404_without_body(server: LocalProcess) -> None:
    response = _send(server, "HEAD", "/v1.0/orders")

    assert (response.status, response.data) == (404, b"")


@pytest.mark.parametrize(
    ("path", "other_methods", "allow"),
    [
        ("/v1.0/products", ("HEAD", "PUT", "DELETE"), "GET, POST, OPTIONS"),
        ("/v1.0/products/PROD-001", ("HEAD", "POST"), "GET, PUT, DELETE, OPTIONS"),
    ],
)
def test_other_method_returns_405_with_allow(
    server: LocalProcess, path: str, other_methods: tuple[str, ...], allow: str
) -> None:
    for method in (*other_methods, "PATCH", "TRACE", "PROPFIND"):
        body = None if method == "HEAD" else b'{"price": 1}'
        response = _send(server, method, path, body)

        assert (response.status, response.headers["Allow"]) == (405, allow)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Cache-Control"] == "no-store"
        if method == "HEAD":
            assert response.data == b""
        else:
            assert response.json() == {
                "type": "tag:kimmyai.io,2026:method-not-allowed",
                "title": "The method is not allowed",
                "status": 405,
                "detail": "Use one of the methods in Allow.",
                "instance": response.headers["X-Request-Id"],
            }


def test_chunked_body_is_accepted(server: LocalProcess) -> None:
    text = json.dumps(product_body()).encode()
    chunks = (text[start : start + 7] for start in range(0, len(text), 7))

    assert _send(server, "POST", "/v1.0/products", chunks, x_api_key=KEY).status == 201


def test_function_rejects_largest_body_of_gateway(server: LocalProcess) -> None:
    response = _send(server, "POST", "/v1.0/products", b" " * _LARGEST_BODY, x_api_key=KEY)

    assert response.status == 413
    assert response.headers["Content-Type"] == "application/problem+json"


def test_larger_body_is_rejected_before_its_end(server: LocalProcess) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n"
        connection.sendall(f"{head}Content-Length: {10**12}\r\n\r\n".encode())
        for _ in range(_LARGEST_BODY // 65536 + 1):
            connection.sendall(b" " * 65536)
        response = connection.recv(65536)

    assert response.startswith(b"HTTP/1.1 413 ")
    _assert_responds(server)


def test_server_survives_client_that_disconnects(server: LocalProcess) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    head = f"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())

    _assert_responds(server)
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    "target",
    [
        "/v1.0/products/%00",
        "/v1.0/products/%ff%fe",
        "/v1.0/products/%",
        "/v1.0/products/%zz",
        "/v1.0/products/..%2f..%2fetc%2fpasswd",
        "/v1.0/products/../../etc/passwd",
        "/v1.0/products/PROD-001;x=y",
        "/v1.0/products?limit=%ff",
        "/v1.0/products?%00=%00",
        "/v1.0/products?limit=%EF%BC%91",
        "/v1.0/products?" + "&".join(f"p{number}=1" for number in range(2000)),
        "/docs/../local/run.py",
        "/docs/%2e%2e/run.py",
        "//v1.0/products",
        "http://127.0.0.1/v1.0/products",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_malformed_target_returns_4xx(server: LocalProcess, method: str, target: str) -> None:
    raw = f"{method} {target} HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n{_LAST_HEADER}"
    status = int(_send_raw(server, raw.encode()).split()[1])

    assert status == 204 if method == "OPTIONS" and status < 300 else 400 <= status < 500
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\xff\r\n\r\n",
        b"GET /v1.0/products/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1.0/products HTTP/nine\r\nHost: x\r\n\r\n",
        b"GET /v1.0/products HTTP/1.1\r\n\r\n",
        b"GET /v1.0/products HTTP/1.1\r\nHost: x\r\nbroken header\r\n\r\n",
        b"G\xc3\x89T /v1.0/products HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1.0/products/"
        + b"a" * 100_000
        + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\nConnection: close\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_malformed_request_is_rejected(server: LocalProcess, raw: bytes) -> None:
    response = _send_raw(server, raw)

    assert not response or response.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    if response:
        head, body = response.split(b"\r\n\r\n", 1)
        assert b"Content-Type: application/problem+json" in head
        assert b"Access-Control-Allow-Origin: *" in head
        assert json.loads(body)["instance"].encode() in head
    _assert_responds(server)
    assert "Traceback" not in server.output


def test_malformed_body_after_response_closes_connection(server: LocalProcess) -> None:
    head = b"POST /v1.0/products HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")
        connection.sendall(b"zz\r\n")
        while connection.recv(65536):
            pass

    _assert_responds(server)
    assert "Traceback" not in server.output


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\x80" * 300, "ключ".encode()])
@pytest.mark.parametrize("name", [b"x-api-key", b"if-match", b"idempotency-key", b"origin"])
def test_header_with_non_ascii_bytes_returns_4xx(
    server: LocalProcess, name: bytes, value: bytes
) -> None:
    key = b"" if name == b"x-api-key" else b"x-api-key: " + KEY.encode() + b"\r\n"
    head = b"POST /v1.0/products HTTP/1.1\r\nHost: x\r\n" + key
    response = _send_raw(server, head + name + b": " + value + b"\r\n" + _LAST_HEADER.encode())

    assert response.split()[1].startswith(b"4")
    assert "Traceback" not in server.output


def test_function_rejects_body_that_is_not_utf8(server: LocalProcess) -> None:
    response = _send(server, "POST", "/v1.0/products", b"\xff\xfe\x00{", x_api_key=KEY)

    assert (response.status, response.json()["errors"][0]["field"]) == (400, "body")


def test_parallel_creates_get_different_ids(server: LocalProcess) -> None:
    body = json.dumps(product_body()).encode()
    with ThreadPoolExecutor(24) as clients:
        responses = list(
            clients.map(
                lambda _: _send(server, "POST", "/v1.0/products", body, x_api_key=KEY), range(72)
            )
        )

    assert {response.status for response in responses} == {201}
    assert len({response.json()["productId"] for response in responses}) == 72


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_printed_curl_commands_work(server: LocalProcess) -> None:
    create, listing = (
        shlex.split(line) for line in server.output.splitlines() if line.startswith("  curl ")
    )

    created = subprocess.run([*create, "-sS"], capture_output=True, text=True, check=True)
    listed = subprocess.run([*listing, "-sS"], capture_output=True, text=True, check=True)

    assert " 201 Created" in created.stdout
    assert " 200 OK" in listed.stdout


def test_request_is_logged_in_one_line(server: LocalProcess) -> None:
    _send(server, "GET", "/v1.0/products/PROD-LOGGED")

    def lines() -> list[str] | None:
        return re.findall(r"^.*PROD-LOGGED.*$", server.output, re.MULTILINE) or None

    (line,) = eventually(lines, "the log line of the request")
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET /v1\.0/products/PROD-LOGGED 404 \d+ ms", line)
