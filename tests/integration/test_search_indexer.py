"""The search indexer with OpenSearch, or its stand-in, and with an OpenSearch that fails.

Set PRODUCT_OPENSEARCH_URL for a real server.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.engine import REGION
from product_lambda.models.search_document import document_in
from product_lambda.repositories import search_index
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.search_index import SearchIndex
from tests.support import faulty_dynamodb as faults
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb, unused_endpoint
from tests.support.search_engine import MAPPING, SERVER_VARIABLE, SearchEngine, search_engine
from tests.support.search_server import SearchServer
from tests.support.stream_records import LambdaContext
from tests.support.stub_server import stub_server

type Deliver = Callable[..., list[str]]
"""Calls the function with the texts of messages, whose ids are m0, m1 and so on; returns the ids
of those that failed. `seconds` is the time until Lambda stops it."""

NEXT_INDEX = "products-20260102t000000"
FIRST_VERSION = 1769851800000000  # 2026-01-31T09:30:00Z in microseconds
TRANSIENT: dict[str, Fault] = {
    "too many requests": faults.fixed_response(b"{}", 429),
    "internal error": faults.fixed_response(b"{}", 500),
    "unavailable": faults.fixed_response(b"{}", 503),
    "gateway time-out": faults.fixed_response(b"<html>", 504),
    "reset": faults.reset,
    "disconnect": faults.disconnect,
    "not HTTP": faults.not_http,
    "truncated": faults.truncated_response,
    "no JSON": faults.fixed_response(b"<html>"),
    "no items": faults.fixed_response(b'{"took": 1}'),
    "fewer items": faults.fixed_response(b'{"items": []}'),
    "other items": faults.fixed_response(b'{"items": [1]}'),
}


def shown(number: int, second: int, **fields: object) -> dict[str, Any]:
    """Return a product as it is after a change in a second of one minute."""
    moment = f"2026-01-31T09:30:{second:02}.000000Z"
    return product_shown(productId=f"PROD-{number:03}", updatedAt=moment, version=second, **fields)


def event(number: int, second: int, **fields: object) -> str:
    """Return the event of a change, as the text of a message."""
    return text_of(change_event(None, shown(number, second, **fields)))


def removal(number: int, second: int) -> str:
    """Return the event of a removal from the table."""
    return text_of(change_event(shown(number, second), None, "ProductRemoved"))


@pytest.fixture
def server() -> Iterator[SearchEngine]:
    with search_engine() as engine:
        engine.create()
        yield engine


@pytest.fixture
def stand_in(server: SearchEngine) -> SearchServer:
    if server.stand_in is None:
        pytest.skip("need the stand-in: a real server cannot be made to respond so")
    return server.stand_in


@pytest.fixture
def index(server: SearchEngine) -> SearchIndex:
    return SearchIndex(server.url, REGION)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def proxy(server: SearchEngine) -> Iterator[FaultyDynamoDB]:
    with faulty_dynamodb(server.url) as faulty:
        yield faulty


@pytest.fixture
def deliver(
    imported_event_functions: Mapping[str, ModuleType],
    server: SearchEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Deliver:
    """The function with the server; `url` is the endpoint of another one."""
    function = imported_event_functions["search_indexer"]

    def call(*texts: str, seconds: float = 60, url: str = server.url) -> list[str]:
        monkeypatch.setattr(function, "INDEX", SearchIndex(url, REGION))
        messages = [{"messageId": f"m{number}", "body": text} for number, text in enumerate(texts)]
        response = function.handler({"Records": messages}, LambdaContext(seconds))
        assert response.keys() == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    return call


def logged_reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the logged reasons for which documents were not indexed."""
    lines = [vars(line) for line in caplog.records if line.message == "document not indexed"]
    return [line["reason"] for line in lines]


def test_created_product_is_found_as_the_api_shows_it(
    deliver: Deliver, server: SearchEngine
) -> None:
    product = shown(1, 5, price=Decimal("95.10"), setupFee=Decimal("0.01"))

    assert deliver(text_of(change_event(None, product, "ProductCreated"))) == []

    del product["active"]
    assert server.documents() == {
        "PROD-001": {**product, "deleted": False, "changedAt": "2026-01-31T09:30:05.000000Z"}
    }
    [hit] = server.hits("products")
    assert hit["_version"] == FIRST_VERSION + 5_000_000


@pytest.mark.parametrize("price", ["0.01", "19.99", "1234567.89", "99999999.99"])
def test_amount_is_exact_in_the_index(deliver: Deliver, server: SearchEngine, price: str) -> None:
    deliver(event(1, 1, price=Decimal(price)))

    [hit] = server.hits("products", {"term": {"price": float(price)}})
    assert hit["_source"]["price"] == Decimal(price)


def test_deleted_product_is_not_found(deliver: Deliver, server: SearchEngine) -> None:
    deliver(event(1, 1), event(2, 1))

    assert deliver(event(1, 2, active=False), removal(2, 3)) == []

    assert server.documents() == {}


@pytest.mark.parametrize("gone", [event(1, 5, active=False), removal(1, 5)])
def test_older_change_does_not_bring_a_product_back(
    deliver: Deliver, server: SearchEngine, gone: str
) -> None:
    deliver(event(1, 1))
    deliver(gone)

    assert deliver(event(1, 4)) == []
    assert server.documents() == {}
    assert deliver(event(1, 6)) == []
    assert list(server.documents()) == ["PROD-001"]


def test_last_of_changes_at_the_same_time_stays(deliver: Deliver, server: SearchEngine) -> None:
    deliver(event(1, 1, name="first"))
    deliver(event(1, 1, name="second"))

    assert server.documents()["PROD-001"]["name"] == "second"


def test_document_of_deleted_product_keeps_no_content(
    deliver: Deliver, server: SearchEngine
) -> None:
    deliver(event(1, 1), event(1, 2, active=False))

    [document] = server.documents(server.indexes_of("products")[0]).values()
    assert document.keys() == {"productId", "deleted", "changedAt"}


def test_order_within_a_batch_does_not_count(deliver: Deliver, server: SearchEngine) -> None:
    assert deliver(event(1, 3, name="third"), event(1, 2), event(1, 3, name="third")) == []
    assert server.documents()["PROD-001"]["name"] == "third"


CHANGES = [
    *(event(1, second, name=f"state {second}") for second in (1, 2, 4)),
    event(1, 3, active=False),
    *(event(2, second, name=f"state {second}") for second in (1, 3)),
    event(2, 2, active=False),
    event(2, 4, active=False),
    event(3, 1),
    removal(3, 2),
]


# A real server takes a second for each example.
_EXAMPLES = 15 if SERVER_VARIABLE in os.environ else 40


@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations(CHANGES),
    repeated=st.lists(st.sampled_from(CHANGES), max_size=10),
    size=st.integers(1, 5),
)
def test_any_order_and_repetition_ends_in_the_same_index(
    server: SearchEngine, index: SearchIndex, order: list[str], repeated: list[str], size: int
) -> None:
    server.send("DELETE", f"/{server.indexes_of('products')[0]}")
    server.create()
    events = [*order, *repeated]

    for start in range(0, len(events), size):
        documents = [document_in(text) for text in events[start : start + size]]
        assert all(result.is_done for result in index.put(documents, Deadline(60)))

    found = {hit["_id"]: hit for hit in server.hits(server.indexes_of("products")[0])}
    assert {name: hit["_source"]["deleted"] for name, hit in found.items()} == {
        "PROD-001": False,
        "PROD-002": True,
        "PROD-003": True,
    }
    assert found["PROD-001"]["_source"]["name"] == "state 4"
    assert found["PROD-001"]["_version"] == FIRST_VERSION + 4_000_000


def test_order_and_repetition_hold_for_every_last_event(
    deliver: Deliver, server: SearchEngine
) -> None:
    """Each event comes last once, whatever the property test drew."""
    for last in CHANGES:
        assert deliver(*CHANGES, last) == []

    assert {name: each["name"] for name, each in server.documents().items()} == {
        "PROD-001": "state 4"
    }


UNREADABLE = {
    "no JSON": "{",
    "no object": "[]",
    "no detail": "{}",
    "detail of text": '{"detail": "text"}',
    "no product": event(1, 1).replace('"after"', '"later"'),
    "product of text": text_of({"detail": {**json.loads(event(1, 1))["detail"], "after": "x"}}),
    "other product": event(1, 1).replace('"productId": "PROD-001"', '"productId": "PROD-002"', 1),
    "other id": event(1, 1).replace("PROD-001", "../PROD-001"),
    "other time": event(1, 1).replace("2026-01-31T09:30:01", "2026-01-31 09:30:01"),
    "no such day": event(1, 1).replace("2026-01-31T09:30:01", "2026-02-31T09:30:01"),
    "no state": event(1, 1).replace('"active": true', '"active": "yes"'),
    "nested without end": "[" * 100_000,
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_message_fails_alone(
    deliver: Deliver, server: SearchEngine, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert deliver(text, event(2, 1)) == ["m0"]

    assert list(server.documents()) == ["PROD-002"]
    [line] = [vars(line) for line in caplog.records if line.message == "document rejected"]
    assert (line["levelname"], line["message_id"]) == ("ERROR", "m0")


def test_event_of_larger_schema_is_indexed(deliver: Deliver, server: SearchEngine) -> None:
    text = event(1, 1).replace('"after": {', '"later": 1, "after": {"colour": "red", ')

    assert deliver(text) == []

    assert server.documents()["PROD-001"]["colour"] == "red"


def test_mapping_conflict_fails_only_its_message(
    deliver: Deliver, server: SearchEngine, caplog: pytest.LogCaptureFixture
) -> None:
    conflict = event(2, 1).replace('"name": "Entry"', '"name": {"en": "Entry"}')

    assert deliver(event(1, 1), conflict, event(3, 1)) == ["m1"]

    assert list(server.documents()) == ["PROD-001", "PROD-003"]
    [line] = [vars(line) for line in caplog.records if line.message == "document rejected"]
    assert (line["message_id"], line["product_id"]) == ("m1", "PROD-002")
    assert line["reason"].startswith("400 mapper_parsing_exception: failed to parse field [name]")


def test_indexed_and_outdated_changes_are_logged(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "product_lambda"):
        deliver(event(1, 2), event(1, 1))

    lines = [vars(line) for line in caplog.records if line.message == "document indexed"]
    assert [(line["message_id"], line["outcome"]) for line in lines] == [
        ("m0", "stored"),
        ("m1", "outdated"),
    ]


def test_overloaded_server_is_asked_again(
    deliver: Deliver, server: SearchEngine, stand_in: SearchServer
) -> None:
    stand_in.overload("PROD-001", times=1)

    assert deliver(event(1, 1), event(2, 1)) == []

    assert list(server.documents()) == ["PROD-001", "PROD-002"]


def test_document_of_overloaded_server_fails_alone(
    deliver: Deliver, server: SearchEngine, stand_in: SearchServer, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.overload("PROD-001", times=100)

    assert deliver(event(1, 1), event(2, 1)) == ["m0"]

    assert list(server.documents()) == ["PROD-002"]
    assert stand_in.requests.count("POST /products/_bulk") == 3
    assert logged_reasons(caplog) == ["429 rejected_execution_exception: the write queue is full"]


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_change_is_indexed_after_one_fault(
    deliver: Deliver, server: SearchEngine, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("POST", fault, nth=1)

    assert deliver(event(1, 1), url=proxy.endpoint_url) == []

    assert list(server.documents()) == ["PROD-001"]


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_fault_that_lasts_fails_all_messages(
    deliver: Deliver, server: SearchEngine, proxy: FaultyDynamoDB, fault: Fault
) -> None:
    proxy.fail("POST", fault)

    assert deliver(event(1, 1), event(2, 1), url=proxy.endpoint_url) == ["m0", "m1"]

    assert proxy.count("POST") == 3 * 2
    assert server.documents() == {}


def test_change_whose_response_was_lost_is_confirmed(
    deliver: Deliver, server: SearchEngine, proxy: FaultyDynamoDB
) -> None:
    proxy.fail("POST", faults.after_execution(faults.reset), nth=2)

    assert deliver(event(1, 1), url=proxy.endpoint_url) == []

    assert list(server.documents()) == ["PROD-001"]


@pytest.mark.parametrize("fault", [faults.hang, faults.endless_header, faults.endless_body])
def test_server_without_end_is_left_at_the_deadline(
    deliver: Deliver, proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    proxy.fail("POST", fault)
    started = time.monotonic()

    assert deliver(event(1, 1), event(2, 1), seconds=2, url=proxy.endpoint_url) == ["m0", "m1"]

    assert time.monotonic() - started < 30
    assert logged_reasons(caplog) == ["There was no response in time."] * 2


def test_batch_without_time_left_is_not_sent(
    deliver: Deliver, server: SearchEngine, caplog: pytest.LogCaptureFixture
) -> None:
    assert deliver(event(1, 1), event(2, 1), seconds=0.5) == ["m0", "m1"]

    assert logged_reasons(caplog) == ["There was no response in time."] * 2
    assert server.documents() == {}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the function makes, which take no time; each has an average length."""
    made: list[float] = []
    monkeypatch.setattr("random.SystemRandom.random", lambda _: 0.5)
    monkeypatch.setattr(search_index, "_FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(search_index, "time", SimpleNamespace(sleep=made.append))
    return made


def test_pauses_between_attempts_grow(deliver: Deliver, pauses: list[float]) -> None:
    with stub_server() as stub:
        stub.respond("*", {}, 429)

        assert deliver(event(1, 1), url=stub.endpoint_url) == ["m0"]

    assert pauses == [pytest.approx(0.3), pytest.approx(0.6)]


def test_pause_after_the_deadline_is_not_made(deliver: Deliver, pauses: list[float]) -> None:
    with stub_server() as stub:
        stub.respond("*", {}, 429)

        assert deliver(event(1, 1), seconds=1.1, url=stub.endpoint_url) == ["m0"]

    assert pauses == []


def test_success_needs_no_pause(deliver: Deliver, pauses: list[float]) -> None:
    assert deliver(event(1, 1)) == []
    assert pauses == []


def test_server_that_is_down_fails_all_messages(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    assert deliver(event(1, 1), event(2, 1), url=unused_endpoint()) == ["m0", "m1"]

    lines = [vars(line) for line in caplog.records if line.message == "document not indexed"]
    assert [line["message_id"] for line in lines] == ["m0", "m1"]
    assert all(line["reason"].startswith("ConnectionError: ") for line in lines)


def test_denied_request_fails_all_messages_without_retry(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    with stub_server() as stub:
        stub.respond("*", {"Message": "User is not authorized to perform: es:ESHttpPost"}, 403)

        assert deliver(event(1, 1), event(2, 1), url=stub.endpoint_url) == ["m0", "m1"]

        assert stub.count("*") == 2
    lines = [vars(line) for line in caplog.records if line.message == "document rejected"]
    assert [line["message_id"] for line in lines] == ["m0", "m1"]
    assert {line["reason"].partition("(")[0] for line in lines} == {
        "AuthorizationException: AuthorizationException"
    }


@pytest.mark.parametrize(
    "body",
    [
        {"took": 1},
        {"items": []},
        {"items": [1]},
        {"items": [{"create": {"status": 201}}]},
        {"items": [{"index": {}}]},
        {"items": [{"index": {"status": 400}}]},
        {"items": [{"index": {"status": 201}}] * 2},
        [],
    ],
    ids=str,
)
def test_response_of_another_form_fails_message(
    deliver: Deliver, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    with stub_server() as stub:
        stub.respond("*", body)

        assert deliver(event(1, 1), url=stub.endpoint_url) == ["m0"]

        assert stub.count("*") == 3 * 2
    [reason] = logged_reasons(caplog)
    assert re.match(r"The response is invalid: \w+Error\(|1 documents, [02] results$", reason)


def test_cause_of_rejection_is_logged(deliver: Deliver, caplog: pytest.LogCaptureFixture) -> None:
    cause = {"type": "number_format_exception", "reason": "For input string: dear"}
    error = {"type": "mapper_parsing_exception", "reason": "failed to parse", "caused_by": cause}
    with stub_server() as stub:
        stub.respond("*", {"items": [{"index": {"status": 400, "error": error}}]})

        assert deliver(event(1, 1), url=stub.endpoint_url) == ["m0"]

    [line] = [vars(line) for line in caplog.records if line.message == "document rejected"]
    assert line["reason"] == (
        "400 mapper_parsing_exception: failed to parse; For input string: dear"
    )


def test_batch_of_unreadable_messages_sends_nothing(deliver: Deliver) -> None:
    with stub_server() as stub:
        assert deliver("{", "[]", url=stub.endpoint_url) == ["m0", "m1"]
        assert stub.requests == []


def test_requests_are_signed_for_the_domain(deliver: Deliver) -> None:
    with stub_server() as stub:
        stub.respond("*", {"items": [{"index": {"status": 201}}]})

        assert deliver(event(1, 1), url=stub.endpoint_url) == []

        paths = [(sent.method, sent.path) for sent in stub.requests]
        for sent in stub.requests:
            assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
            assert f"/{REGION}/es/aws4_request" in sent.headers["Authorization"]
    assert paths == [
        ("POST", "/products-next/_bulk?require_alias=true"),
        ("POST", "/products/_bulk?require_alias=true"),
    ]


def test_missing_index_fails_messages_and_creates_none(
    deliver: Deliver, server: SearchEngine
) -> None:
    server.send("DELETE", f"/{server.indexes_of('products')[0]}")

    assert deliver(event(1, 1)) == ["m0"]

    assert server.send("POST", "/products/_search").status == 404


def test_change_reaches_index_that_is_being_filled(deliver: Deliver, server: SearchEngine) -> None:
    server.create(NEXT_INDEX, aliases=("products-next",))

    assert deliver(event(1, 1), event(2, 2)) == []

    assert list(server.documents()) == ["PROD-001", "PROD-002"]
    assert list(server.documents("products-next")) == ["PROD-001", "PROD-002"]


def test_change_reaches_new_index_while_alias_moves(
    deliver: Deliver, server: SearchEngine, stand_in: SearchServer
) -> None:
    server.create(NEXT_INDEX, aliases=("products-next",))
    [old] = server.indexes_of("products")
    moves = [
        {"add": {"index": NEXT_INDEX, "alias": "products"}},
        {"remove": {"index": NEXT_INDEX, "alias": "products-next"}},
        {"remove_index": {"index": old}},
    ]
    requests: list[str] = []

    def move_before_second(request: str) -> None:
        requests.append(request)
        if len(requests) == 2:
            server.send("POST", "/_aliases", {"actions": moves})

    stand_in.watch(move_before_second)
    assert deliver(event(1, 1)) == []

    assert server.indexes_of("products") == [NEXT_INDEX]
    assert list(server.documents()) == ["PROD-001"]


def test_conflict_with_index_being_filled_fails_message(
    deliver: Deliver, server: SearchEngine
) -> None:
    mappings = {"properties": {**MAPPING["mappings"]["properties"], "name": {"type": "long"}}}
    server.create(NEXT_INDEX, mappings=mappings, aliases=("products-next",))

    assert deliver(event(1, 1)) == ["m0"]

    assert list(server.documents()) == ["PROD-001"]


def test_mapping_has_all_fields_of_a_product() -> None:
    fields = {*product_shown(setupFee=Decimal(1)), "deleted", "changedAt"} - {"active"}
    assert MAPPING["mappings"]["properties"].keys() == fields
