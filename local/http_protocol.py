"""HTTP/1.1 of uvicorn, with problem documents also for requests that are not valid HTTP."""

import uuid

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.gateway import MALFORMED, error_response, http_response


class HttpProtocol(H11Protocol):
    """One connection."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's sentence)
        """Respond to bytes that are not HTTP, and close the connection."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            response = http_response(error_response(MALFORMED, str(uuid.uuid4())))
            length = ("Content-Length", str(len(response.body)))
            headers = [*response.headers, length, ("Connection", "close")]
            for event in (
                h11.Response(status_code=response.status, headers=headers, reason=b"Bad Request"),
                h11.Data(data=response.body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
