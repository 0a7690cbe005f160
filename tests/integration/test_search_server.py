"""The rules of OpenSearch that the search index relies on: of the stand-in and of a real server.

Set PRODUCT_OPENSEARCH_URL for a real server.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.search_engine import FIRST_INDEX, ON_OFFER, SearchEngine, search_engine

OTHER_INDEX = "products-20260102t000000"
MAPPINGS = {
    "dynamic": False,
    "properties": {
        "productId": {"type": "keyword"},
        "name": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "price": {"type": "scaled_float", "scaling_factor": 100},
        "changedAt": {"type": "date"},
        "version": {"type": "long"},
        "deleted": {"type": "boolean"},
    },
}


@pytest.fixture
def server() -> Iterator[SearchEngine]:
    with search_engine() as engine:
        yield engine


def action(document_id: str, version: int, version_type: str = "external_gte") -> dict[str, Any]:
    """Return the line of a bulk action."""
    return {"index": {"_id": document_id, "version": version, "version_type": version_type}}


def document(document_id: str, **fields: object) -> dict[str, Any]:
    return {"productId": document_id, "deleted": False, **fields}


@pytest.mark.parametrize("version_type", ["external", "external_gte"])
def test_older_version_is_a_conflict(server: SearchEngine, version_type: str) -> None:
    server.create(mappings=MAPPINGS)
    server.bulk("products", action("A", 7, version_type), document("A", name="new"))

    [result] = server.bulk("products", action("A", 6, version_type), document("A", name="old"))

    assert result["status"] == 409
    assert result["error"]["type"] == "version_conflict_engine_exception"
    assert server.documents()["A"]["name"] == "new"


@pytest.mark.parametrize(("version_type", "status"), [("external", 409), ("external_gte", 200)])
def test_same_version_conflicts_only_with_external(
    server: SearchEngine, version_type: str, status: int
) -> None:
    server.create(mappings=MAPPINGS)
    server.bulk("products", action("A", 7, version_type), document("A"))

    [result] = server.bulk("products", action("A", 7, version_type), document("A"))

    assert result["status"] == status


def test_version_is_kept_as_it_was_sent(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)
    version = 253402300799999999  # 9999-12-31T23:59:59.999999Z in microseconds

    [result] = server.bulk("products", action("A", version), document("A"))

    assert (result["status"], result["result"], result["_version"]) == (201, "created", version)
    [hit] = server.hits("products")
    assert hit["_version"] == version


def test_negative_version_is_invalid(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)
    lines = '{"index": {"_id": "A", "version": -1, "version_type": "external_gte"}}\n{}\n'

    response = server.send("POST", "/products/_bulk", lines)

    assert response.status == 400 or response.body["items"][0]["index"]["status"] == 400


def test_one_rejected_action_leaves_others(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)

    results = server.bulk(
        "products",
        action("A", 1),
        document("A", price="dear"),
        action("B", 1),
        document("B", price=Decimal("9.99")),
    )

    assert [result["status"] for result in results] == [400, 201]
    assert results[0]["error"]["type"] == "mapper_parsing_exception"
    assert "[price] of type [scaled_float]" in results[0]["error"]["reason"]
    assert list(server.documents()) == ["B"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "dear"),
        ("version", "first"),
        ("changedAt", "yesterday"),
        ("deleted", "perhaps"),
        ("productId", {"id": 1}),
        ("name", {"en": "Basic"}),
    ],
)
def test_value_of_another_type_is_rejected(server: SearchEngine, field: str, value: object) -> None:
    server.create(mappings=MAPPINGS)

    [result] = server.bulk("products", action("A", 1), document("A", **{field: value}))

    assert result["status"] == 400
    assert result["error"]["type"] == "mapper_parsing_exception"


def test_unknown_field_is_kept_but_not_searchable(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)

    [result] = server.bulk("products", action("A", 1), document("A", colour="red"))

    assert result["status"] == 201
    assert server.documents()["A"]["colour"] == "red"


def test_unknown_field_is_rejected_by_strict_mapping(server: SearchEngine) -> None:
    server.create(mappings={**MAPPINGS, "dynamic": "strict"})

    [result] = server.bulk("products", action("A", 1), document("A", colour="red"))

    assert result["status"] == 400
    assert result["error"]["type"] == "strict_dynamic_mapping_exception"


def test_required_alias_that_is_missing_creates_no_index(server: SearchEngine) -> None:
    query = "?require_alias=true"

    [result] = server.bulk("products-next", action("A", 1), document("A"), query=query)

    assert result["status"] == 404
    assert result["error"]["type"] == "index_not_found_exception"
    assert server.send("POST", "/products-next/_search").status == 404


def test_filtered_alias_finds_what_its_filter_matches(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)

    server.bulk(
        "products",
        *(action("A", 1), document("A")),
        *(action("B", 1), {"productId": "B", "deleted": True}),
    )

    assert list(server.documents("products")) == ["A"]
    assert list(server.documents(FIRST_INDEX)) == ["A", "B"]


def test_alias_moves_to_another_index_at_once(server: SearchEngine) -> None:
    server.create(FIRST_INDEX, mappings=MAPPINGS)
    server.create(OTHER_INDEX, mappings=MAPPINGS, aliases=("products-next",))
    moves = [
        {"add": {"index": OTHER_INDEX, "alias": "products", **ON_OFFER}},
        {"remove": {"index": OTHER_INDEX, "alias": "products-next"}},
        {"remove_index": {"index": FIRST_INDEX}},
    ]

    response = server.send("POST", "/_aliases", {"actions": moves})

    assert response.status == 200
    assert server.indexes_of("products") == [OTHER_INDEX]
    assert server.indexes_of("products-next") == []
    assert server.send("POST", f"/{FIRST_INDEX}/_search").status == 404


def test_rejected_alias_action_leaves_all_aliases(server: SearchEngine) -> None:
    server.create(FIRST_INDEX, mappings=MAPPINGS)
    moves = [
        {"remove": {"index": FIRST_INDEX, "alias": "products"}},
        {"add": {"index": OTHER_INDEX, "alias": "products"}},
    ]

    response = server.send("POST", "/_aliases", {"actions": moves})

    assert response.status == 404
    assert server.indexes_of("products") == [FIRST_INDEX]


def test_index_with_a_used_name_is_rejected(server: SearchEngine) -> None:
    server.create()

    response = server.send("PUT", f"/{FIRST_INDEX}", {})

    assert response.status == 400
    assert response.body["error"]["type"] == "resource_already_exists_exception"


def test_deleted_index_takes_its_aliases_with_it(server: SearchEngine) -> None:
    server.create()

    assert server.send("DELETE", f"/{FIRST_INDEX}").status == 200

    assert server.indexes_of("products") == []
    assert server.send("DELETE", f"/{FIRST_INDEX}").status == 404


def test_alias_of_two_indexes_accepts_no_document(server: SearchEngine) -> None:
    server.create(FIRST_INDEX, mappings=MAPPINGS)
    server.create(OTHER_INDEX, mappings=MAPPINGS)

    [result] = server.bulk("products", action("A", 1), document("A"))

    assert result["status"] == 400
    assert result["error"]["type"] == "illegal_argument_exception"


def test_search_goes_on_after_the_last_hit(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)
    for name in "CABD":
        server.bulk("products", action(name, 1), document(name), query="?refresh=true")
    page = {"size": 2, "version": True, "sort": [{"productId": "asc"}], "_source": ["deleted"]}

    first = server.send("POST", "/products/_search", page).body["hits"]["hits"]
    last = {**page, "search_after": first[-1]["sort"]}
    second = server.send("POST", "/products/_search", last).body["hits"]["hits"]

    assert [hit["_id"] for hit in first + second] == ["A", "B", "C", "D"]
    assert {hit["_version"] for hit in first + second} == {1}
    assert first[0]["_source"] == {"deleted": False}


def test_price_is_compared_to_the_cent(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)
    for number, price in enumerate(("19.98", "19.99", "20", "99999999.99")):
        server.bulk("products", action(str(number), 1), document(str(number), price=Decimal(price)))

    found = server.hits("products", {"range": {"price": {"gte": 19.99, "lte": 20}}})

    assert [hit["_source"]["price"] for hit in found] == [Decimal("19.99"), 20]


def test_bulk_body_without_newline_is_rejected(server: SearchEngine) -> None:
    server.create(mappings=MAPPINGS)

    response = server.send("POST", "/products/_bulk", '{"index": {"_id": "A"}}\n{}')

    assert response.status == 400
    assert response.body["error"]["type"] == "illegal_argument_exception"
