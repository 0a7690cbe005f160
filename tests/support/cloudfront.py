"""A stand-in for CloudFront's API on loopback: creates invalidations of one distribution.

It follows the Amazon CloudFront API Reference ("CreateInvalidation", "InvalidationBatch", "Common
Errors") and the Developer Guide ("Concurrent invalidation request maximum"). It checks the form of
each request, but no signature. It has no cache: a listener removes the paths from one.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

type Listener = Callable[[Sequence[str]], None]
"""Called with the paths of each new invalidation, before it is confirmed."""

DISTRIBUTION_ID: Final = "E2STANDIN00000"
MAX_WILDCARDS_IN_PROGRESS: Final = 15
MAX_PATHS: Final = 3000

_NAMESPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
_URL: Final = re.compile(r"/2020-05-31/distribution/([^/]+)/invalidation")
_CREDENTIAL: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[^/]+/cloudfront/")
# A wildcard is the last character (Developer Guide, "Specify the objects to invalidate").
_PATH: Final = re.compile(r"/[^*\s]*\*?")


class Invalidation(NamedTuple):
    """An invalidation.

    Attributes:
        invalidation_id: its id.
        reference: the caller's reference, by which a repeated request is recognized.
        paths: what to remove from the cache.
    """

    invalidation_id: str
    reference: str
    paths: tuple[str, ...]


class _RejectedError(Exception):
    """The API rejects a request, with a status and an error code."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class CloudFront:
    """The running stand-in.

    Attributes:
        endpoint_url: its URL.
        listener: removes the paths of each new invalidation from a cache.
        invalidations: all invalidations in their order.
        requests: how many requests have arrived, also those that were rejected.
        completes: whether an invalidation is complete when it is confirmed; else it is in progress
            until `complete`.
    """

    endpoint_url: str
    listener: Listener
    invalidations: list[Invalidation] = field(default_factory=list)
    requests: int = 0
    completes: bool = True
    _in_progress: list[Invalidation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def complete(self) -> None:
        """Complete all invalidations in progress."""
        self._in_progress.clear()

    def forget(self) -> None:
        """Return to the state of the start."""
        self.invalidations.clear()
        self.complete()
        self.requests, self.completes = 0, True

    def create(self, url: str, authorization: str, body: bytes) -> tuple[Invalidation, bool]:
        """Carry out a request, and return its invalidation and whether that is new."""
        with self._lock:
            self.requests += 1
            _check_caller(url, authorization)
            reference, paths = _batch_in(body)
            for known in self.invalidations:
                if known.reference != reference:
                    continue
                if known.paths != paths:
                    code = "InvalidationBatchAlreadyExists"
                    raise _RejectedError(HTTPStatus.BAD_REQUEST, code)
                return known, False
            self._check_limit(paths)
            invalidation = Invalidation(f"I{len(self.invalidations):013}", reference, paths)
            self.listener(paths)
            self.invalidations.append(invalidation)
            if not self.completes:
                self._in_progress.append(invalidation)
            return invalidation, True

    def status(self, invalidation: Invalidation) -> str:
        """Return the status of an invalidation, as a response names it."""
        return "InProgress" if invalidation in self._in_progress else "Completed"

    def _check_limit(self, paths: Sequence[str]) -> None:
        wildcards = sum(
            path.endswith("*")
            for each in (paths, *(known.paths for known in self._in_progress))
            for path in each
        )
        if wildcards > MAX_WILDCARDS_IN_PROGRESS:
            raise _RejectedError(HTTPStatus.BAD_REQUEST, "TooManyInvalidationsInProgress")


def _check_caller(url: str, authorization: str) -> None:
    """Check the URL and the form of the signature of a request."""
    if not _CREDENTIAL.match(authorization):
        raise _RejectedError(HTTPStatus.FORBIDDEN, "MissingAuthenticationToken")
    found = _URL.fullmatch(url)
    if not found or found[1] != DISTRIBUTION_ID:
        raise _RejectedError(HTTPStatus.NOT_FOUND, "NoSuchDistribution")


def _batch_in(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the reference and the paths of a request."""
    if not body:
        raise _RejectedError(HTTPStatus.BAD_REQUEST, "MissingBody")
    try:
        root = ET.fromstring(body)  # noqa: S314 (from a test on this machine)
    except ET.ParseError as error:
        raise _RejectedError(HTTPStatus.BAD_REQUEST, "MalformedXML") from error
    name = f"{{{_NAMESPACE}}}"
    reference = root.findtext(f"{name}CallerReference")
    quantity = root.findtext(f"{name}Paths/{name}Quantity", "")
    found = root.findall(f"{name}Paths/{name}Items/{name}Path")
    paths = tuple(item.text or "" for item in found)
    if root.tag != f"{name}InvalidationBatch" or not reference or not paths:
        raise _RejectedError(HTTPStatus.BAD_REQUEST, "InvalidArgument")
    if quantity != str(len(paths)):
        raise _RejectedError(HTTPStatus.BAD_REQUEST, "InconsistentQuantities")
    if len(paths) > MAX_PATHS:
        raise _RejectedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BatchTooLarge")
    if not all(_PATH.fullmatch(path) for path in paths):
        raise _RejectedError(HTTPStatus.BAD_REQUEST, "InvalidArgument")
    return reference, paths


def error_document(code: str) -> bytes:
    """Return the body of an error of CloudFront's API."""
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>a test</Message></Error><RequestId>request-1</RequestId></ErrorResponse>"
    ).encode()


def _document(invalidation: Invalidation, status: str) -> bytes:
    items = "".join(f"<Path>{escape(path)}</Path>" for path in invalidation.paths)
    return (
        f'<Invalidation xmlns="{_NAMESPACE}"><Id>{invalidation.invalidation_id}</Id>'
        f"<Status>{status}</Status><CreateTime>2026-01-31T09:30:00.000Z</CreateTime>"
        f"<InvalidationBatch><Paths><Quantity>{len(invalidation.paths)}</Quantity>"
        f"<Items>{items}</Items></Paths>"
        f"<CallerReference>{escape(invalidation.reference)}</CallerReference>"
        "</InvalidationBatch></Invalidation>"
    ).encode()


def _no_cache(_paths: Sequence[str]) -> None:
    """Remove nothing."""


@contextmanager
def cloudfront(listener: Listener = _no_cache) -> Iterator[CloudFront]:
    """Run the stand-in on a free port; without a listener, no cache is behind it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            authorization = self.headers.get("Authorization", "")
            try:
                invalidation, is_new = standin.create(self.path, authorization, body)
            except _RejectedError as rejected:
                self._respond(rejected.status, error_document(rejected.code))
                return
            status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
            self._respond(status, _document(invalidation, standin.status(invalidation)))

        def _respond(self, status: HTTPStatus, document: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # threads of idle connections would never end

    with Server(("127.0.0.1", 0), Handler) as server:
        standin = CloudFront(f"http://127.0.0.1:{server.server_port}", listener)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield standin
        finally:
            server.shutdown()
            thread.join()
