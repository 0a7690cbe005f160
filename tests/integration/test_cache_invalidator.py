"""The cache invalidator, with a stand-in for CloudFront's API, also one that fails."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from botocore.session import get_session

from local.engine import REGION
from product_lambda.repositories.edge_cache import EdgeCache, caller_reference, change_id_in
from tests.support import faulty_dynamodb as faults
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.cloudfront import (
    DISTRIBUTION_ID,
    MAX_WILDCARDS_IN_PROGRESS,
    CloudFront,
    cloudfront,
    error_document,
)
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.stream_records import LambdaContext

type Deliver = Callable[..., list[str]]
"""Calls the function with the texts of messages, whose ids are m0, m1 and so on; returns the ids
of those that failed."""

PATHS = ("/v1.0/products*",)
SHOWN = product_shown()


def event_of(change_id: str) -> str:
    return text_of(change_event(None, SHOWN, "ProductCreated", changeId=change_id))


EVENTS = [event_of(f"id-{number}") for number in range(1, 11)]
TRANSIENT: dict[str, Fault] = {
    "throttling": faults.fixed_response(error_document("Throttling"), 400),
    "internal error": faults.fixed_response(error_document("InternalError"), 500),
    "unavailable": faults.fixed_response(b"<html>503</html>", 503),
    "too many requests": faults.fixed_response(b"", 429),
    "no id": faults.fixed_response(b"<Invalidation></Invalidation>", 201),
    "empty": faults.fixed_response(b"", 201),
    "not XML": faults.fixed_response(b"{", 201),
    "truncated": faults.truncated_response,
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "not HTTP": faults.not_http,
}
PERMANENT = (
    "AccessDenied",
    "BatchTooLarge",
    "InvalidArgument",
    "NoSuchDistribution",
    "TooManyInvalidationsInProgress",
)
UNREADABLE = {
    "no JSON": "{",
    "no text": "",
    "no object": "[]",
    "list": "[1]",
    "no detail": "{}",
    "detail of text": '{"detail": "text"}',
    "no id": '{"detail": {}}',
    "number": '{"detail": {"changeId": 1}}',
    "other id": '{"detail": {"changeId": "id/1"}}',
}


@pytest.fixture(scope="module")
def standin() -> Iterator[CloudFront]:
    with cloudfront() as running:
        yield running


@pytest.fixture
def edge(standin: CloudFront) -> CloudFront:
    """The stand-in, without earlier invalidations."""
    standin.forget()
    return standin


@pytest.fixture(scope="module")
def shared_proxy(standin: CloudFront) -> Iterator[FaultyDynamoDB]:
    with faulty_dynamodb(standin.endpoint_url) as server:
        yield server


@pytest.fixture
def proxy(
    edge: CloudFront, shared_proxy: FaultyDynamoDB  # noqa: ARG001 (the stand-in forgets, too)
) -> FaultyDynamoDB:
    """The proxy in front of the stand-in, without faults."""
    shared_proxy.forget()
    return shared_proxy


@pytest.fixture(scope="module")
def cache_at() -> Callable[[str, tuple[str, ...]], EdgeCache]:
    """Makes the client of an endpoint once, which takes longer than most tests."""
    return functools.cache(lambda url, paths: EdgeCache(DISTRIBUTION_ID, paths, REGION, url))


@pytest.fixture
def deliver(
    imported_event_functions: Mapping[str, ModuleType],
    edge: CloudFront,
    cache_at: Callable[[str, tuple[str, ...]], EdgeCache],
    monkeypatch: pytest.MonkeyPatch,
) -> Deliver:
    """The function with the stand-in; `url` is the endpoint of another CloudFront."""
    function = imported_event_functions["cache_invalidator"]

    def call(
        *texts: str,
        seconds: float = 60,
        url: str = edge.endpoint_url,
        paths: tuple[str, ...] = PATHS,
    ) -> list[str]:
        monkeypatch.setattr(function, "CACHE", cache_at(url, paths))
        messages = [
            {"messageId": f"m{number}", "body": text, "eventSource": "aws:sqs"}
            for number, text in enumerate(texts)
        ]
        response = function.handler({"Records": messages}, LambdaContext(seconds))
        assert response.keys() == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    return call


def test_batch_of_changes_is_one_invalidation(deliver: Deliver, edge: CloudFront) -> None:
    assert deliver(*EVENTS) == []

    [invalidation] = edge.invalidations
    assert invalidation.paths == PATHS
    assert edge.requests == 1


def test_repeated_batch_invalidates_nothing_again(deliver: Deliver, edge: CloudFront) -> None:
    deliver(*EVENTS)

    assert deliver(*reversed(EVENTS), EVENTS[0]) == []

    assert (edge.requests, len(edge.invalidations)) == (2, 1)


def test_other_changes_are_another_invalidation(deliver: Deliver, edge: CloudFront) -> None:
    for texts in (EVENTS[:2], EVENTS[1:3], EVENTS[:1]):
        assert deliver(*texts) == []
    assert len(edge.invalidations) == 3


def test_same_changes_with_other_paths_are_accepted(deliver: Deliver, edge: CloudFront) -> None:
    for paths in (PATHS, ("/v1.0/products", "/v1.0/products/*")):
        assert deliver(*EVENTS, paths=paths) == []
    assert [invalidation.paths for invalidation in edge.invalidations] == [
        PATHS,
        ("/v1.0/products", "/v1.0/products/*"),
    ]


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_message_fails_alone(deliver: Deliver, edge: CloudFront, text: str) -> None:
    assert deliver(text, *EVENTS[:2]) == ["m0"]
    assert len(edge.invalidations) == 1


def test_unreadable_messages_alone_invalidate_nothing(deliver: Deliver, edge: CloudFront) -> None:
    assert deliver("{", "[]") == ["m0", "m1"]
    assert edge.requests == 0


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_cache_is_invalidated_after_one_fault(
    deliver: Deliver, edge: CloudFront, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("POST", fault, nth=1)

    assert deliver(*EVENTS, url=proxy.endpoint_url) == []

    assert len(edge.invalidations) == 1


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_lasting_fault_fails_the_batch(
    deliver: Deliver, edge: CloudFront, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("POST", fault)

    assert deliver(*EVENTS[:2], url=proxy.endpoint_url) == ["m0", "m1"]

    assert proxy.count("POST") == 2
    assert edge.invalidations == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("no id", "an invalidation without an id"),
        ("empty", "an invalidation without an id"),
        ("throttling", "An error occurred (Throttling)"),
        ("disconnect", "Connection was closed"),
        ("not XML", "Unable to parse response"),
    ],
)
def test_cause_of_lasting_fault_is_logged(
    deliver: Deliver,
    proxy: FaultyDynamoDB,
    caplog: pytest.LogCaptureFixture,
    name: str,
    cause: str,
) -> None:
    proxy.fail("POST", TRANSIENT[name])

    assert deliver(EVENTS[0], url=proxy.endpoint_url) == ["m0"]

    (line,) = (vars(each) for each in caplog.records if each.message == "cache not invalidated")
    assert f"TemporaryException: {cause}" in line["causes"]


@pytest.mark.parametrize("code", PERMANENT)
def test_rejection_fails_the_batch_without_retry(
    deliver: Deliver, proxy: FaultyDynamoDB, code: str
) -> None:
    proxy.fail("POST", faults.fixed_response(error_document(code), 400))

    assert deliver(*EVENTS[:2], url=proxy.endpoint_url) == ["m0", "m1"]

    assert proxy.count("POST") == 1


def test_lost_response_is_confirmed_by_the_same_invalidation(
    deliver: Deliver, edge: CloudFront, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("POST", faults.after_execution(faults.reset), nth=1)

    assert deliver(*EVENTS, url=proxy.endpoint_url) == []

    assert (edge.requests, len(edge.invalidations)) == (2, 1)


def test_too_many_invalidations_succeed_when_delivered_again(
    deliver: Deliver, edge: CloudFront
) -> None:
    edge.completes = False
    for number in range(MAX_WILDCARDS_IN_PROGRESS):
        assert deliver(event_of(f"early-{number}")) == []

    assert deliver(*EVENTS[:2]) == ["m0", "m1"]
    edge.complete()
    assert deliver(*EVENTS[:2]) == []

    assert len(edge.invalidations) == MAX_WILDCARDS_IN_PROGRESS + 1


@pytest.mark.parametrize("fault", [faults.hang, faults.endless_header, faults.endless_body])
def test_cloudfront_without_end_is_left_at_the_deadline(
    deliver: Deliver, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("POST", fault)
    started = time.monotonic()

    assert deliver(*EVENTS[:2], seconds=2, url=proxy.endpoint_url) == ["m0", "m1"]

    # The clients of the tests wait a minute; those of the functions less.
    assert time.monotonic() - started < 30
    assert proxy.count("POST") == 1


def test_invalidation_and_failures_are_logged(
    deliver: Deliver, proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "product_lambda"):
        deliver(EVENTS[0], "{}")
        proxy.fail("POST", faults.fixed_response(error_document("AccessDenied"), 403))
        deliver(EVENTS[1], url=proxy.endpoint_url)

    lines = {line.message: vars(line) for line in caplog.records}
    done = lines["cache invalidated"]
    assert (done["invalidation_id"], done["change_ids"]) == ("I0000000000000", ["id-1"])
    unreadable = lines["change not understood"]
    assert (unreadable["levelname"], unreadable["message_id"]) == ("ERROR", "m1")
    assert unreadable["causes"] == "ValueError: The message has no valid changeId."
    failed = lines["cache not invalidated"]
    assert failed["levelname"] == "ERROR"
    assert failed["causes"].startswith("CallRejectedException: AccessDenied")


def test_failures_of_one_batch_are_not_those_of_the_next(deliver: Deliver) -> None:
    assert deliver("{") == ["m0"]
    assert deliver(EVENTS[0]) == []


def test_reference_depends_on_changes_and_paths_alone() -> None:
    reference = caller_reference(["/a*", "/b*"], ["2", "1"])
    assert len(reference) == 64
    assert caller_reference(["/a*", "/b*"], ["1", "2", "1"]) == reference
    others = [(["/a*"], ["/b*", "1", "2"]), (["/a*", "/b*"], ["12"]), (["/b*"], ["1", "2"])]
    references = {caller_reference(paths, ids) for paths, ids in others}
    assert len(references | {reference}) == 4


def test_change_id_is_read_from_an_event_of_the_bus() -> None:
    assert change_id_in(EVENTS[0]) == "id-1"


# The stand-in


@pytest.fixture(scope="module")
def client(standin: CloudFront) -> Any:
    return get_session().create_client("cloudfront", REGION, endpoint_url=standin.endpoint_url)


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ({"Quantity": 2, "Items": ["/a*"]}, "InconsistentQuantities"),
        ({"Quantity": 0, "Items": []}, "InvalidArgument"),
        ({"Quantity": 1, "Items": ["a*"]}, "InvalidArgument"),
        ({"Quantity": 1, "Items": ["/a*b"]}, "InvalidArgument"),
        ({"Quantity": 3001, "Items": ["/a"] * 3001}, "BatchTooLarge"),
        ({"Quantity": 1, "Items": ["/other*"]}, "InvalidationBatchAlreadyExists"),
        ({"Quantity": 16, "Items": ["/a*"] * 16}, "TooManyInvalidationsInProgress"),
    ],
)
def test_standin_rejects_what_cloudfront_rejects(
    edge: CloudFront, client: Any, batch: dict[str, object], code: str
) -> None:

    def create(paths: object, reference: str) -> None:
        client.create_invalidation(
            DistributionId=DISTRIBUTION_ID,
            InvalidationBatch={"Paths": paths, "CallerReference": reference},
        )

    create({"Quantity": 1, "Items": ["/a*"]}, "known")
    reference = "known" if code == "InvalidationBatchAlreadyExists" else "new"

    with pytest.raises(client.exceptions.ClientError) as rejected:
        create(batch, reference)

    assert rejected.value.response["Error"]["Code"] == code
    assert len(edge.invalidations) == 1


def test_standin_knows_no_other_distribution(client: Any) -> None:
    batch = {"Paths": {"Quantity": 1, "Items": ["/a*"]}, "CallerReference": "1"}
    with pytest.raises(client.exceptions.NoSuchDistribution):
        client.create_invalidation(DistributionId="E0", InvalidationBatch=batch)
