"""Connects HTTP with the functions: an ASGI application for uvicorn.

It reads requests, calls functions in threads, sends responses and logs. `gateway.py` decides on the
content of both.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import h11

from local.docs import page_response
from local.gateway import (
    FUNCTION_FAILED,
    LARGEST_BODY,
    STOPPING,
    TOO_LARGE,
    Call,
    HttpResponse,
    RequestHead,
    compressed,
    error_response,
    http_response,
    proxy_event,
    route,
)

type Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

LOGGER = logging.getLogger("local")
# A thread for each call, up to Lambda's default quota of concurrent executions. With fewer threads,
# calls would wait for one, and a function's deadline starts only when it is called.
_THREADS = 1000
_CALLS: set[Future[HttpResponse]] = set()


def is_function_running() -> bool:
    """Return whether a function runs in this process now."""
    return any(call.running() for call in tuple(_CALLS))


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class LocalServer:
    """The ASGI application.

    Args:
        handlers: the functions by operation; each call runs in a thread, several at once.
        api_key: the one key that allows writes.
    """

    def __init__(self, handlers: Mapping[str, Handler], api_key: str) -> None:
        self._handlers = handlers
        self._api_key = api_key
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="function")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Respond to one request."""
        started = time.perf_counter()
        head = _head(scope)
        try:
            if head.method == "GET" and (page := await asyncio.to_thread(page_response, head.path)):
                await _send(send, page)
                return
            response = await self._respond(head, receive)
        except ClientGoneError:
            return
        except Exception:
            LOGGER.exception("The local server failed on request %s", head.request_id)
            response = http_response(error_response(FUNCTION_FAILED, head.request_id))
        milliseconds = (time.perf_counter() - started) * 1000
        LOGGER.info("%s %s %d %.0f ms", head.method, head.path, response.status, milliseconds)
        await _send(send, compressed(response, dict(head.headers).get("accept-encoding", "")))

    async def _respond(self, head: RequestHead, receive: Receive) -> HttpResponse:
        call = route(head, self._api_key)
        if not isinstance(call, Call):
            return http_response(call)
        try:
            body = await _body(receive)
            if body is None:
                return http_response(error_response(TOO_LARGE, head.request_id))
            return await self._invoke(call.operation, head, proxy_event(head, call, body))
        except asyncio.CancelledError:  # the server is stopping, and this request takes too long
            return http_response(error_response(STOPPING, head.request_id))

    async def _invoke(
        self, operation: str, head: RequestHead, event: Mapping[str, Any]
    ) -> HttpResponse:
        def invocation() -> HttpResponse:
            try:
                return http_response(self._handlers[operation](event, None))
            except Exception:
                LOGGER.exception("%s failed on request %s", operation, head.request_id)
                return http_response(error_response(FUNCTION_FAILED, head.request_id))

        call = self._threads.submit(invocation)
        _CALLS.add(call)
        call.add_done_callback(_CALLS.discard)
        return await asyncio.wrap_future(call)


def _head(scope: Mapping[str, Any]) -> RequestHead:
    return RequestHead(
        request_id=str(uuid.uuid4()),
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ],
        source_ip=scope["client"][0],
    )


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body; None as soon as it is larger than API Gateway's quota."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def _send(send: Send, response: HttpResponse) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    if response.body:
        headers.append((b"Content-Length", str(len(response.body)).encode()))
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    # uvicorn has already rejected an invalid body with its own response.
    with contextlib.suppress(h11.LocalProtocolError):
        await send(start)
        await send({"type": "http.response.body", "body": response.body})
