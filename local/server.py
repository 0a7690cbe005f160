"""Carries HTTP to the functions and back: an ASGI application for uvicorn.

What is asked and answered is `gateway.py`'s; this only reads, calls in a thread, writes and logs.
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

from local.docs import page_file
from local.gateway import (
    FUNCTION_FAILED,
    LARGEST_BODY,
    STOPPING,
    TOO_LARGE,
    Call,
    HttpAnswer,
    RequestHead,
    decide,
    http_answer,
    proxy_event,
    refuse,
)

type Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

LOGGER = logging.getLogger("local")
_THREADS = 16
_CALLS: set[Future[HttpAnswer]] = set()


def is_function_running() -> bool:
    """Whether a function runs in this process at this moment."""
    return any(call.running() for call in tuple(_CALLS))


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class LocalServer:
    """The ASGI application.

    Args:
        handlers: the functions by operation; each runs in a thread, several at once.
        api_key: the one key that lets a caller write.
    """

    def __init__(self, handlers: Mapping[str, Handler], api_key: str) -> None:
        self._handlers = handlers
        self._api_key = api_key
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="function")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["raw_path"].decode("latin-1")
        if scope["method"] == "GET" and (asset := await asyncio.to_thread(page_file, path)):
            await _send(send, asset)
            return
        started = time.perf_counter()
        try:
            response = await self._answer(_head(scope, path), receive)
        except ClientGoneError:
            return
        milliseconds = (time.perf_counter() - started) * 1000
        LOGGER.info("%s %s %d %.0f ms", scope["method"], path, response.status, milliseconds)
        await _send(send, response)

    async def _answer(self, head: RequestHead, receive: Receive) -> HttpAnswer:
        call = decide(head, self._api_key)
        if not isinstance(call, Call):
            return http_answer(call)
        try:
            body = await _body(receive)
            if body is None:
                return http_answer(refuse(TOO_LARGE, head.request_id))
            return await self._invoke(call.operation, head, proxy_event(head, call, body))
        except asyncio.CancelledError:  # the server is told to stop, and this takes too long
            return http_answer(refuse(STOPPING, head.request_id))

    async def _invoke(
        self, operation: str, head: RequestHead, event: Mapping[str, Any]
    ) -> HttpAnswer:
        def invocation() -> HttpAnswer:
            try:
                return http_answer(self._handlers[operation](event, None))
            except Exception:
                LOGGER.exception("%s failed on request %s", operation, head.request_id)
                return http_answer(refuse(FUNCTION_FAILED, head.request_id))

        call = self._threads.submit(invocation)
        _CALLS.add(call)
        call.add_done_callback(_CALLS.discard)
        return await asyncio.wrap_future(call)


def _head(scope: Mapping[str, Any], path: str) -> RequestHead:
    return RequestHead(
        request_id=str(uuid.uuid4()),
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ],
        source_ip=scope["client"][0],
    )


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None, without the rest of it, once it is larger than the gateway takes."""
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


async def _send(send: Send, response: HttpAnswer) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    if response.body:
        headers.append((b"Content-Length", str(len(response.body)).encode()))
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    with contextlib.suppress(h11.LocalProtocolError):  # uvicorn has refused a broken body itself
        await send(start)
        await send({"type": "http.response.body", "body": response.body})
