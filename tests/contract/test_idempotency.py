"""Idempotency-Key on POST /products: a repeated creation makes one product."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.factory import product_body, unused_key, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.response_check import ApiResponse


def _is_replay(response: ApiResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


def test_repeated_creation_returns_same_product(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    first = api.create_product(product_body(), key)
    again = [api.create_product(product_body(), key) for _ in range(3)]
    assert not _is_replay(first)
    for response in again:
        assert (response.status, _is_replay(response)) == (201, True)
        assert response.body == first.body
        assert response.headers["ETag"] == first.headers["ETag"]
        assert response.headers["Location"] == first.headers["Location"]


def test_replay_returns_product_as_created(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    first = api.create_product(product_body(), key)
    product_id = first.json()["productId"]
    api.update_product(product_id, {"price": 1})
    api.delete_product(product_id)
    assert api.create_product(product_body(), key).body == first.body
    assert api.get_product(product_id).status == 404


def test_replay_of_chosen_id_is_no_conflict(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    body = product_body(productId=unused_product_id())
    first = api.create_product(body, key)
    again = api.create_product(body, key)
    assert (again.status, _is_replay(again), again.body) == (201, True, first.body)
    assert api.create_product(body).status == 409


def test_key_with_other_body_returns_422(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    first = api.create_product(product_body(price=10), key).json()
    rejected = api.create_product(product_body(price=11), key)
    assert rejected.status == 422
    assert rejected.error_fields() == {"Idempotency-Key"}
    assert api.get_product(first["productId"]).json() == first


def test_other_key_makes_other_product(api: ProductApi) -> None:
    ids = {
        api.create_product(product_body(), {"Idempotency-Key": unused_key()}).json()["productId"]
        for _ in range(3)
    }
    assert len(ids) == 3


def test_creations_without_key_make_separate_products(api: ProductApi) -> None:
    assert api.new_product()["productId"] != api.new_product()["productId"]


def test_rejected_creation_does_not_use_its_key(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    taken = api.new_product()["productId"]
    assert api.create_product(product_body(price=0), key).status == 400
    assert api.create_product(product_body(productId=taken), key).status == 409
    created = api.create_product(product_body(), key)
    assert (created.status, _is_replay(created)) == (201, False)


def test_taken_id_returns_409_on_every_attempt(api: ProductApi) -> None:
    key = {"Idempotency-Key": unused_key()}
    taken = product_body(productId=api.new_product()["productId"])
    for _ in range(3):
        rejected = api.create_product(taken, key)
        assert rejected.status == 409
        assert rejected.json()["type"].endswith(":duplicate-product")


@pytest.mark.parametrize("length", [1, 255])
def test_key_of_1_to_255_characters_is_accepted(api: ProductApi, length: int) -> None:
    # An earlier run may have used the shortest key; then the first creation is a replay.
    key = {"Idempotency-Key": (unused_key() * 8)[:length]}
    assert api.create_product(product_body(), key).status == 201
    assert _is_replay(api.create_product(product_body(), key))


def test_key_of_any_visible_ascii_is_accepted(api: ProductApi) -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    key = {"Idempotency-Key": visible + unused_key()}
    assert api.create_product(product_body(), key).status == 201
    assert _is_replay(api.create_product(product_body(), key))


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "two words", "a\tb", "clé", "€".encode().decode("latin-1")]
)
def test_invalid_key_returns_400(api: ProductApi, key: str) -> None:
    rejected = api.create_product(product_body(), {"Idempotency-Key": key})
    assert rejected.status == 400
    assert rejected.error_fields() == {"Idempotency-Key"}


def test_two_keys_return_400(api: ProductApi) -> None:
    keys = [("Idempotency-Key", unused_key()), ("Idempotency-Key", unused_key())]
    rejected = api.create_product(product_body(), keys)
    assert rejected.status == 400
    assert rejected.error_fields() == {"Idempotency-Key"}


def test_keys_are_case_sensitive(api: ProductApi) -> None:
    key = unused_key()
    responses = [
        api.create_product(product_body(), {"Idempotency-Key": f"{letter}{key}"}) for letter in "aA"
    ]
    assert not any(_is_replay(response) for response in responses)


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen id", "assigned id"])
def test_concurrent_equal_creations_make_one_product(
    api: ProductApi, chosen: bool  # noqa: FBT001 -- a parametrized case
) -> None:
    key = {"Idempotency-Key": unused_key()}
    body = product_body(productId=unused_product_id()) if chosen else product_body()
    with ThreadPoolExecutor(8) as clients:
        responses = list(clients.map(lambda _: api.create_product(body, key), range(16)))
    responses.append(api.create_product(body, key))
    created = [response for response in responses if response.status == 201]
    assert len({response.body for response in created}) == 1
    assert sum(not _is_replay(response) for response in created) == 1
    assert _is_replay(responses[-1])
    waiting = [response for response in responses if response.status != 201]
    assert {response.json()["type"].split(":")[-1] for response in waiting} <= {
        "idempotency-key-in-flight"
    }
