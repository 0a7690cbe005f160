"""The rebuild of the search index, with OpenSearch or its stand-in, while products change.

Set PRODUCT_OPENSEARCH_URL for a real server.
"""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import rebuild_search_index
from local.engine import REGION
from product_lambda.models import search_document
from product_lambda.models.search_document import SearchDocument, version_of
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.search_index import SearchIndex
from product_tools import search_cluster
from product_tools.api_client import ApiClient
from product_tools.search_cluster import SearchCluster, SearchClusterError
from product_tools.search_rebuild import Progress, Rebuild
from tests.support import faulty_dynamodb as faults
from tests.support.audit_trail import product_shown
from tests.support.fake_product_api import FakeProductApi, FakeResponse, serving_fake_api
from tests.support.faulty_dynamodb import faulty_dynamodb, unused_endpoint
from tests.support.search_engine import FIRST_INDEX, SearchEngine, search_engine
from tests.support.search_server import SearchServer

OTHER_INDEX = "products-20260102t000000"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchEngine]:
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(search_cluster, "_FIRST_PAUSE_SECONDS", 0.01)
    with search_engine() as engine:
        yield engine


@pytest.fixture
def stand_in(server: SearchEngine) -> SearchServer:
    if server.stand_in is None:
        pytest.skip("need the stand-in: a real server cannot be made to respond so")
    return server.stand_in


@pytest.fixture
def api() -> Iterator[FakeProductApi]:
    with serving_fake_api() as fake:
        yield fake


class Catalogue:
    """The products of the API, and the function that indexes their changes."""

    def __init__(self, api: FakeProductApi, server: SearchEngine) -> None:
        self.products = api.products
        self._index = SearchIndex(server.url, REGION)
        self._clock = 0

    def change(self, number: int, **fields: Any) -> SearchDocument:
        """Create or change a product, and return the document of its event."""
        self._clock += 1
        product_id = f"PROD-{number:03}"
        moment = f"2026-01-31T09:30:00.{self._clock:06}Z"
        before = self.products.get(product_id) or product_shown(productId=product_id)
        version = self._clock
        product = {**before, "name": f"State {version}", "updatedAt": moment, "version": version}
        self.products[product_id] = product | fields
        return search_document.document_of(product | fields, moment, version_of(moment))

    def remove(self, number: int) -> SearchDocument:
        """Remove a product from the table, and return the document of its event."""
        self._clock += 1
        product_id = f"PROD-{number:03}"
        del self.products[product_id]
        moment = f"2026-01-31T09:30:00.{self._clock:06}Z"
        return search_document.absence_of(product_id, moment, version_of(moment))

    def deliver(self, *documents: SearchDocument) -> None:
        """Index changes as the function does."""
        results = self._index.put(documents, Deadline(60))
        assert all(result.is_done for result in results), results

    def on_offer(self) -> dict[str, str]:
        """Return the names of the active products by id."""
        return {key: each["name"] for key, each in self.products.items() if each["active"]}


@pytest.fixture
def catalogue(api: FakeProductApi, server: SearchEngine) -> Catalogue:
    return Catalogue(api, server)


def rebuild(api: FakeProductApi, server: SearchEngine, *options: str) -> int:
    """Run the command, without the wait."""
    arguments = ["--base-url", api.base_url, "--endpoint", server.url, "--settle", "0", *options]
    return rebuild_search_index.main(arguments)


def names(server: SearchEngine) -> dict[str, str]:
    """Return the names of the products that a search finds, by id."""
    return {key: each["name"] for key, each in server.documents().items()}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, api: FakeProductApi) -> None:
    monkeypatch.setenv("API_KEY", api.api_key)


def test_first_index_has_the_whole_catalogue(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(1, 121):
        catalogue.change(number, price=Decimal("19.99"), active=number % 3 > 0)

    assert rebuild(api, server) == 0

    assert names(server) == catalogue.on_offer()
    assert {each["price"] for each in server.documents().values()} == {Decimal("19.99")}
    [index] = server.indexes_of("products")
    assert len(server.documents(index)) == 120
    output = capsys.readouterr().out
    assert f"{index}: storing the catalogue, 50 documents stored\n" in output
    assert output.endswith(f"{index} is searched from now on, with 120 documents.\n")


def test_rebuild_replaces_a_wrong_index(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue
) -> None:
    mappings = {"properties": {"productId": {"type": "keyword"}, "price": {"type": "date"}}}
    server.create(mappings=mappings)
    wrong = {"productId": "PROD-001", "deleted": False, "name": "Wrong", "changedAt": "2026"}
    action = {"_id": "PROD-001", "version": version_of("2026-01-31T09:30:00.000001Z")}
    server.bulk("products", {"index": {**action, "version_type": "external_gte"}}, wrong)
    catalogue.change(1)

    assert rebuild(api, server) == 0

    assert names(server) == {"PROD-001": "State 1"}
    assert server.send("POST", f"/{FIRST_INDEX}/_search").status == 404
    assert server.indexes_of("products-next") == []
    catalogue.deliver(catalogue.change(1))
    assert names(server) == {"PROD-001": "State 2"}


def test_removed_product_does_not_come_back(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue
) -> None:
    server.create()
    created, other = catalogue.change(1), catalogue.change(2)
    catalogue.deliver(created, other, catalogue.remove(1))

    assert rebuild(api, server) == 0
    catalogue.deliver(created)

    assert names(server) == {"PROD-002": "State 2"}


def test_product_without_event_of_removal_is_not_found(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue
) -> None:
    server.create()
    catalogue.deliver(catalogue.change(1), catalogue.change(2))
    catalogue.remove(1)

    assert rebuild(api, server) == 0

    assert names(server) == {"PROD-002": "State 2"}


def test_change_that_left_its_time_is_not_overtaken(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue
) -> None:
    """Another program has changed the product twice, and left `updatedAt`."""
    server.create()
    catalogue.deliver(catalogue.change(1))
    first, second = catalogue.change(1), catalogue.change(1)
    catalogue.deliver(second)
    third = catalogue.change(1)  # in the second of the one before
    api.products["PROD-001"]["updatedAt"] = "2026-01-31T09:30:00.000001Z"

    assert rebuild(api, server) == 0
    catalogue.deliver(first, second)
    assert names(server) == {"PROD-001": "State 4"}
    catalogue.deliver(third)
    assert names(server) == {"PROD-001": "State 4"}


def test_former_index_is_read_page_by_page(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_cluster, "_PAGE", 2)
    server.create()
    created = [catalogue.change(number) for number in range(1, 6)]
    catalogue.deliver(*created)
    for number in range(1, 5):
        catalogue.remove(number)

    assert rebuild(api, server) == 0
    catalogue.deliver(*created)

    assert names(server) == {"PROD-005": "State 5"}


@pytest.mark.parametrize(
    ("status", "code", "ids"), [(500, 0, ["PROD-002"]), (403, 1, ["PROD-001", "PROD-002"])]
)
def test_product_that_api_does_not_show_is_not_found(
    api: FakeProductApi,
    server: SearchEngine,
    status: int,
    code: int,
    ids: list[str],
) -> None:
    """An unreadable item has 500 and is hidden; another response stops the rebuild."""
    catalogue = Catalogue(api, server)
    server.create()
    catalogue.deliver(catalogue.change(1), catalogue.change(2))
    catalogue.remove(1)
    for _ in range(2):
        api.let_pass(method="GET")  # the two lists
    api.fail_next(FakeResponse(status, {"type": "about:blank", "title": "no", "status": status}))

    assert rebuild(api, server) == code

    assert sorted(names(server)) == ids


@pytest.mark.parametrize("seed", range(12))
def test_changes_during_rebuild_are_all_in_the_new_index(
    api: FakeProductApi,
    server: SearchEngine,
    stand_in: SearchServer,
    catalogue: Catalogue,
    seed: int,
) -> None:
    """Before each request of the rebuild, products change; events come now, later or twice."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    server.create()
    catalogue.deliver(*(catalogue.change(number) for number in range(1, 9)))
    late: list[SearchDocument] = []
    kept = {f"PROD-{number:03}" for number in (1, 2)}
    seen: dict[str, int] = {}
    steps: list[str] = []

    def change_products(request: str) -> None:
        steps.append(request)
        for number in (1, 2, *rng.sample(range(3, 12), 2)):
            is_active = number < 3 or rng.random() < 0.6
            changed = catalogue.change(number, active=is_active)
            if not is_active and rng.random() < 0.3:
                changed = catalogue.remove(number)
            when = "now" if number < 3 else rng.choice(("now", "later", "twice"))
            if when != "later":
                catalogue.deliver(changed)
            if when != "now":
                late.append(changed)
        found = {hit["_id"]: hit["_version"] for hit in server.hits("products")}
        assert kept <= found.keys()  # no moment without results
        assert all(found[key] >= seen.get(key, 0) for key in kept)  # and never an older state
        seen.update({key: found[key] for key in kept})

    stand_in.watch(change_products)
    assert rebuild(api, server) == 0
    stand_in.watch(lambda _: None)
    rng.shuffle(late)
    for document in late:
        catalogue.deliver(document)

    assert "POST /_aliases" in steps
    assert "POST /products-next/_bulk" in steps
    assert names(server) == catalogue.on_offer()


def test_index_of_interrupted_rebuild_needs_a_decision(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.create()
    server.create(OTHER_INDEX, aliases=("products-next",))
    catalogue.deliver(catalogue.change(1))

    assert rebuild(api, server) == 1
    assert capsys.readouterr().err == (
        f"The index {OTHER_INDEX} is being filled: wait for the other rebuild, or add --discard"
        " if it was interrupted.\n"
    )
    assert server.indexes_of("products") == [FIRST_INDEX]

    assert rebuild(api, server, "--discard") == 0
    assert server.send("POST", f"/{OTHER_INDEX}/_search").status == 404


@pytest.mark.parametrize("step", ["creating", "storing", "moving"])
def test_interrupted_rebuild_leaves_nothing(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue, step: str
) -> None:
    server.create()
    catalogue.deliver(catalogue.change(1))

    def interrupt(progress: Progress) -> None:
        if progress.step.startswith(step):
            raise KeyboardInterrupt

    client = ApiClient(api.base_url, api.api_key)
    started = Rebuild(SearchCluster(server.url), client, search_document, 0)
    with pytest.raises(KeyboardInterrupt):
        started.run(interrupt)

    assert server.indexes_of("products") == [FIRST_INDEX]
    assert server.indexes_of("products-next") == []
    assert names(server) == {"PROD-001": "State 1"}


def test_catalogue_that_cannot_be_read_stops_rebuild(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.create()
    catalogue.deliver(catalogue.change(1))
    api.fail_next(FakeResponse(500, {"type": "about:blank", "title": "broken", "status": 500}))

    assert rebuild(api, server) == 1

    assert "could not be read" in capsys.readouterr().err
    assert server.indexes_of("products") == [FIRST_INDEX]
    assert server.indexes_of("products-next") == []


def test_empty_catalogue_does_not_replace_products(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.create()
    catalogue.deliver(catalogue.change(1))
    api.products.clear()

    assert rebuild(api, server) == 1

    assert "check the address of the API" in capsys.readouterr().err
    assert names(server) == {"PROD-001": "State 1"}


def test_overloaded_server_is_asked_again(
    api: FakeProductApi, server: SearchEngine, stand_in: SearchServer, catalogue: Catalogue
) -> None:
    catalogue.change(1)
    catalogue.change(2)
    stand_in.overload("PROD-001", times=2)

    assert rebuild(api, server) == 0

    assert names(server) == catalogue.on_offer()


def test_server_that_stays_overloaded_stops_rebuild(
    api: FakeProductApi,
    server: SearchEngine,
    stand_in: SearchServer,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalogue.change(1)
    stand_in.overload("PROD-001", times=100)

    assert rebuild(api, server) == 1

    assert "is overloaded (rejected_execution_exception: " in capsys.readouterr().err
    assert server.indexes_of("products-next") == []


def test_rejected_document_stops_rebuild(
    api: FakeProductApi,
    server: SearchEngine,
    catalogue: Catalogue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalogue.change(1, price={"amount": 1})

    assert rebuild(api, server) == 1

    assert "rejects the document of PROD-001 (mapper_parsing" in capsys.readouterr().err
    assert server.indexes_of("products-next") == []


def test_server_that_is_down_is_named(
    api: FakeProductApi, server: SearchEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = unused_endpoint()

    assert rebuild(api, server, "--endpoint", endpoint) == 1

    assert capsys.readouterr().err == (
        f"{endpoint} does not respond: check the endpoint and the network.\n"
    )


@pytest.mark.usefixtures("server")
def test_denied_call_is_named() -> None:
    with faulty_dynamodb(always=faults.fixed_response(b"<html>", 403)) as other:
        cluster = SearchCluster(other.endpoint_url)
        with pytest.raises(SearchClusterError, match=r"rejects a call \(403 "):
            cluster.store([search_document.absence_of("PROD-001", "2026", 1)])


def test_lost_response_to_the_move_is_no_failure(
    api: FakeProductApi, server: SearchEngine, catalogue: Catalogue
) -> None:
    server.create()
    catalogue.deliver(catalogue.change(1))
    client = ApiClient(api.base_url, api.api_key)

    class LosesResponse(SearchCluster):
        def move(self, new: str, old: Any) -> None:
            super().move(new, old)
            raise SearchClusterError("The response is lost.")

    started = Rebuild(LosesResponse(server.url), client, search_document, 0)
    started.run(lambda _: None)

    assert server.indexes_of("products") == [started.index]
    assert names(server) == {"PROD-001": "State 1"}


@pytest.mark.parametrize("missing", ["--base-url", "--endpoint"])
def test_missing_address_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("BASE_URL", "OPENSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)
    given = {"--base-url": "http://127.0.0.1:9", "--endpoint": "http://127.0.0.1:9"}
    del given[missing]

    with pytest.raises(SystemExit):
        rebuild_search_index.main([part for pair in given.items() for part in pair])

    assert capsys.readouterr().err.endswith(f", or give {missing}.\n")
