"""A proxy in front of the local AWS that compares each request with AWS's own service models.

botocore's models say for each operation which fields a request must and may have, and which values.
The emulator accepts most other values too, so that only a real account would reject them.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

_SESSION: Final = botocore.session.get_session()
_SERVICES: Final = {"monitoring": "cloudwatch"}  # names in signatures that differ from botocore's
# Classes of characters that Python's patterns lack.
_CLASSES: Final = {r"\p{L}": r"A-Za-z\u00aa-\uffff", r"\p{N}": r"\d", r"\p{Z}": r"\s"}
_NUMBERS: Final = {"integer", "long", "float", "double"}
_TIMEOUT_SECONDS: Final = 60


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # Terraform opens many connections at once


class CheckingProxy:
    """A server that sends each request on to the local AWS, and checks it.

    Attributes:
        endpoint_url: the URL for clients.
        operations: how often each operation was requested, such as `iam:CreateRole`.
        findings: what the models do not allow in the requests, one sentence each.
        unread: requests whose operation is unknown.
        failures: requests that got no response, or a server error. Terraform repeats these.
    """

    def __init__(self, target: str) -> None:
        self.operations: Counter[str] = Counter()
        self.findings: list[str] = []
        self.unread: list[str] = []
        self.failures: list[str] = []
        self._target = target
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """Stop, and close the port."""
        self._server.shutdown()
        self._server.server_close()

    def check(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Compare one request with the model of its service."""
        try:
            operation, values = _read(method, path, headers, body)
        except (KeyError, LookupError, ValueError) as error:
            self.unread.append(f"{method} {path} ({error!r})")
            return
        name = f"{operation.service_model.service_name}:{operation.name}"
        self.operations[name] += 1
        if operation.input_shape is not None:
            self.findings += _findings(operation.input_shape, values, name)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet for head and body: a second one would wait for the first

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.check(self.command, self.path, dict(self.headers), body)
                connection = HTTPConnection(
                    urlsplit(proxy._target).netloc, timeout=_TIMEOUT_SECONDS
                )
                # The signature covers the header Host, so it stays as it is.
                connection.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for header, value in self.headers.items():
                    connection.putheader(header, value)
                request = f"{self.command} {self.path}"
                try:
                    connection.endheaders(body)
                    response = connection.getresponse()
                    content = response.read()
                except (OSError, HTTPException) as error:
                    proxy.failures.append(f"{request}: {error!r}")
                    raise
                finally:
                    connection.close()
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    proxy.failures.append(f"{request}: {response.status} {content[:200]!r}")
                self.send_response_only(response.status, response.reason)
                for header, value in response.getheaders():
                    if header.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(header, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler


@contextmanager
def checking_proxy(target: str) -> Iterator[CheckingProxy]:
    """Run a proxy in front of the local AWS with the endpoint URL `target`."""
    proxy = CheckingProxy(target)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


# --- Requests to operations and their values ---


def _read(
    method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[OperationModel, dict[str, Any]]:
    signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers["Authorization"])
    if signed is None:
        raise LookupError("no service in the signature")
    model = _model(_SERVICES.get(signed[1], signed[1]))
    if model.metadata["protocol"] == "rest-xml":
        raise LookupError("requests with XML bodies are not read")
    if "X-Amz-Target" in headers:
        operation = model.operation_model(headers["X-Amz-Target"].rpartition(".")[2])
        return operation, json.loads(body)
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        form = {
            name: values[0]
            for name, values in parse_qs(body.decode(), keep_blank_values=True).items()
        }
        operation = model.operation_model(form["Action"])
        assert operation.input_shape is not None
        return operation, _from_form(operation.input_shape, form, "")
    return _from_rest(model, method, path, headers, body)


@cache
def _model(service: str) -> ServiceModel:
    return _SESSION.get_service_model(service)


def _from_form(shape: Shape, form: Mapping[str, str], prefix: str) -> Any:
    """Return a value of the protocol `query`, such as `Tags.member.1.Key=…`."""
    if shape.type_name == "structure":
        members: Any = shape
        names = {
            name: f"{prefix}.{name}".lstrip(".")
            for name in members.members
            if _is_in(form, f"{prefix}.{name}".lstrip("."))
        }
        return {name: _from_form(members.members[name], form, key) for name, key in names.items()}
    if shape.type_name == "list":
        entries: Any = shape
        return [
            _from_form(entries.member, form, key)
            for key in _numbered(form, f"{prefix}.member") or _numbered(form, prefix)
        ]
    if shape.type_name == "map":
        entries = shape
        return {
            _from_form(entries.key, form, f"{key}.key"): _from_form(
                entries.value, form, f"{key}.value"
            )
            for key in _numbered(form, f"{prefix}.entry")
        }
    return _scalar(shape, form[prefix])


def _is_in(form: Mapping[str, str], key: str) -> bool:
    return any(name == key or name.startswith(f"{key}.") for name in form)


def _numbered(form: Mapping[str, str], prefix: str) -> list[str]:
    numbers = {
        int(match[1])
        for name in form
        if (match := re.match(rf"{re.escape(prefix)}\.(\d+)(?:\.|$)", name))
    }
    return [f"{prefix}.{number}" for number in sorted(numbers)]


def _from_rest(
    model: ServiceModel, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[OperationModel, dict[str, Any]]:
    """Return the operation and the values of a request of a REST protocol with JSON bodies."""
    parts = urlsplit(path)
    operation, labels = _route(model, method, parts.path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    shape: Any = operation.input_shape
    document = json.loads(body) if body and shape and "payload" not in shape.serialization else {}
    values: dict[str, Any] = dict(document)
    for name, member in shape.members.items() if shape else ():
        place, key = member.serialization.get("location"), member.serialization.get("name", name)
        source: Mapping[str, str] = {"uri": labels, "querystring": query, "header": headers}.get(
            place, {}
        )
        if key in source:
            values[key] = (
                _scalar(member, source[key])
                if member.type_name not in {"list", "map"}
                else {"list": [source[key]], "map": {}}[member.type_name]
            )
    return operation, values


def _route(model: ServiceModel, method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
    for operation, pattern in _routes(model.service_name):
        match = pattern.fullmatch(path.rstrip("/"))
        if match and operation.http["method"] == method:
            labels = {name[1:]: unquote(value) for name, value in match.groupdict().items()}
            return operation, {re.sub("__", "-", name): value for name, value in labels.items()}
    raise LookupError("no such operation")


@cache
def _routes(service: str) -> list[tuple[OperationModel, re.Pattern[str]]]:
    """Return the operations of a service with patterns of their paths, the most literal first."""
    model = _model(service)
    operations = [model.operation_model(name) for name in model.operation_names]
    operations.sort(key=lambda operation: operation.http["requestUri"].count("{"))
    routes = []
    for operation in operations:
        template = operation.http["requestUri"].partition("?")[0].rstrip("/")
        pattern = ""
        for literal, label in re.findall(r"([^{]*)(?:\{([^}]+)\})?", template):
            pattern += re.escape(literal)
            if label:
                name = label.rstrip("+").replace("-", "__")
                pattern += f"(?P<_{name}>{'.+' if label.endswith('+') else '[^/]+'})"
        routes.append((operation, re.compile(pattern)))
    return routes


def _scalar(shape: Shape, text: str) -> Any:
    if shape.type_name in _NUMBERS:
        return float(text)
    if shape.type_name == "boolean":
        return text == "true"
    return text


# --- Values to findings ---


def _findings(shape: Shape, value: Any, place: str) -> Iterator[str]:
    """Yield what a model does not allow in a value."""
    model: Any = shape  # botocore's types lack the attributes of each kind
    kind = shape.type_name
    if kind == "structure":
        yield from _structure_findings(model, value, place)
    elif kind == "list":
        yield from _length(shape, len(value), place)
        for number, item in enumerate(value):
            yield from _findings(model.member, item, f"{place}[{number}]")
    elif kind == "map":
        yield from _length(shape, len(value), place)
        for key, item in value.items():
            yield from _findings(model.key, key, f"{place} (key)")
            yield from _findings(model.value, item, f"{place}[{key}]")
    elif kind == "string":
        yield from _length(shape, len(value), place)
        if model.enum and value not in model.enum:
            yield f"{place} must not be {value!r}"
        if (pattern := shape.metadata.get("pattern")) and not _compiled(pattern).fullmatch(value):
            yield f"{place} {value!r} does not match {pattern}"
    elif kind in _NUMBERS:
        yield from _length(shape, value, place)


def _structure_findings(shape: Any, value: Mapping[str, Any], place: str) -> Iterator[str]:
    # REST requests have their own names of fields; the others use the names of the model.
    members = {name: (name, member) for name, member in shape.members.items()}
    members |= {
        member.serialization["name"]: (name, member)
        for name, member in shape.members.items()
        if "name" in member.serialization
    }
    for key in sorted(value.keys() - members.keys()):
        yield f"{place} has no field {key}"
    known = {key: value[key] for key in value.keys() & members.keys() if value[key] is not None}
    present = {members[key][0] for key in known}
    for name in sorted(set(shape.required_members) - present):
        yield f"{place} lacks {name}"
    for key, item in sorted(known.items()):
        yield from _findings(members[key][1], item, f"{place}.{key}")


def _length(shape: Shape, size: float, place: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < float(low):
        yield f"{place} is below {low}: {size}"
    if high is not None and size > float(high):
        yield f"{place} is above {high}: {size}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)
