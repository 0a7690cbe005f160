"""Messages to queues of the engine, and to a server that fails like SQS."""

from collections.abc import Iterator

import pytest

from local.engine import REGION
from product_lambda.exceptions import DependencyUnavailableException
from product_lambda.repositories.aws_client import CallRejectedException, Limits
from product_lambda.repositories.queues import Queue
from tests.support import faulty_dynamodb as faults
from tests.support.faulty_dynamodb import Fault, faulty_dynamodb
from tests.support.queues import EngineQueue


@pytest.fixture
def standard(engine: str) -> EngineQueue:
    return EngineQueue(engine, fifo=False)


@pytest.fixture
def fifo(engine: str) -> EngineQueue:
    return EngineQueue(engine, fifo=True)


@pytest.fixture
def queue_behind(request: pytest.FixtureRequest) -> Iterator[Queue]:
    """A queue of a server with the fault of the test."""
    with faulty_dynamodb(always=request.param) as server:
        yield Queue(
            f"{server.endpoint_url}/1/changes",
            REGION,
            server.endpoint_url,
            Limits(connect_seconds=0.5, read_seconds=0.2, attempts=1),
        )


def test_sent_message_is_received(engine: str, standard: EngineQueue) -> None:
    Queue(standard.url, REGION, engine).send('{"a": 1}', attributes={"reason": "not readable"})
    (message,) = standard.received(1)
    assert message["Body"] == '{"a": 1}'
    assert message["MessageAttributes"]["reason"] == {
        "StringValue": "not readable",
        "DataType": "String",
    }


def test_message_without_attributes_has_none(engine: str, standard: EngineQueue) -> None:
    Queue(standard.url, REGION, engine).send("text")
    (message,) = standard.received(1)
    assert message["Body"] == "text"
    assert "MessageAttributes" not in message


def test_fifo_messages_keep_order_and_repeats_are_one(engine: str, fifo: EngineQueue) -> None:
    queue = Queue(fifo.url, REGION, engine)
    for number in (1, 2, 1, 3):
        queue.send(f"{number}", group="PROD-001", deduplication_id=f"id-{number}")
    messages = fifo.received(3)
    assert [message["Body"] for message in messages] == ["1", "2", "3"]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"PROD-001"}


TEMPORARY: dict[str, Fault] = {
    "throttled": faults.error_response("RequestThrottled"),
    "throttled by KMS": faults.error_response("KmsThrottled"),
    "throttled with 403": faults.error_response("ThrottlingException", status=403),
    "internal failure": faults.error_response("InternalFailure", status=500),
    "service unavailable": faults.fixed_response(b"<html>503</html>", 503),
    "hang": faults.hang,
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "not HTTP": faults.not_http,
    "not JSON": faults.fixed_response(b"<html>hello</html>"),
    "truncated": faults.truncated_response,
    "no id": faults.fixed_response(b"{}"),
}


@pytest.mark.parametrize("queue_behind", TEMPORARY.values(), ids=TEMPORARY.keys(), indirect=True)
def test_temporary_failure_raises_unavailable(queue_behind: Queue) -> None:
    with pytest.raises(DependencyUnavailableException):
        queue_behind.send("text")


def test_closed_port_raises_unavailable() -> None:
    endpoint = faults.unused_endpoint()
    queue = Queue(f"{endpoint}/1/changes", REGION, endpoint, Limits(attempts=1))
    with pytest.raises(DependencyUnavailableException):
        queue.send("text")


PERMANENT: dict[str, Fault] = {
    code: faults.error_response(code) for code in ("AccessDenied", "QueueDoesNotExist")
}


@pytest.mark.parametrize("queue_behind", PERMANENT.values(), ids=PERMANENT.keys(), indirect=True)
def test_permanent_error_is_raised_as_rejection(queue_behind: Queue) -> None:
    with pytest.raises(CallRejectedException):
        queue_behind.send("text")


@pytest.mark.parametrize(("attempts", "succeeds"), [(1, False), (2, True)])
def test_message_is_sent_at_most_so_often(
    engine: str, standard: EngineQueue, attempts: int, succeeds: bool  # noqa: FBT001
) -> None:
    with faulty_dynamodb(engine) as server:
        server.fail("SendMessage", faults.reset, nth=1)
        queue = Queue(standard.url, REGION, server.endpoint_url, Limits(attempts=attempts))
        try:
            queue.send("text")
        except DependencyUnavailableException:
            assert not succeeds
        else:
            assert succeeds
    assert server.count("SendMessage") == attempts
