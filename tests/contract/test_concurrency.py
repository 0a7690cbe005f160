"""Concurrent clients: no id is assigned twice, no write is lost or overwritten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.factory import product_body, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.response_check import ApiResponse


def _send_concurrently(request: Callable[[int], ApiResponse], times: int) -> list[ApiResponse]:
    with ThreadPoolExecutor(8) as clients:
        return list(clients.map(request, range(times)))


def test_concurrent_creations_get_distinct_ids(api: ProductApi) -> None:
    responses = _send_concurrently(lambda _: api.create_product(product_body()), 40)
    assert {response.status for response in responses} == {201}
    assert len({response.json()["productId"] for response in responses}) == 40


def test_chosen_ids_in_sequence_are_never_overwritten(api: ProductApi) -> None:
    number = int(api.new_product()["productId"].removeprefix("PROD-"))

    def create(turn: int) -> ApiResponse:
        # Every other client chooses one of the next numbers of the sequence.
        chosen = {"productId": f"PROD-{number + 1 + turn // 2:03}"} if turn % 2 else {}
        return api.create_product(product_body(name=f"Client {turn}", **chosen))

    responses = _send_concurrently(create, 32)
    created = [response.json() for response in responses if response.status == 201]
    assert {response.status for response in responses[::2]} == {201}
    assert {response.status for response in responses[1::2]} <= {201, 409}
    assert len({product["productId"] for product in created}) == len(created)
    for product in created:
        assert api.get_product(product["productId"]).json() == product


def test_concurrent_creations_of_one_id_succeed_once(api: ProductApi) -> None:
    product_id = unused_product_id()
    responses = _send_concurrently(
        lambda turn: api.create_product(product_body(productId=product_id, price=turn + 1)), 16
    )
    [winner] = [response for response in responses if response.status == 201]
    assert sorted(response.status for response in responses) == [201] + [409] * 15
    assert api.get_product(product_id).body == winner.body


def test_concurrent_updates_are_never_lost(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    responses = _send_concurrently(
        lambda turn: api.update_product(product_id, {"price": turn + 1}), 24
    )
    assert {response.status for response in responses} == {200}
    by_version = {response.json()["version"]: response for response in responses}
    assert sorted(by_version) == list(range(2, 26))
    assert api.get_product(product_id).body == by_version[25].body


def test_concurrent_updates_of_different_fields_all_stay(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    changes: list[dict[str, object]] = [
        {"name": "N"},
        {"description": "D"},
        {"price": 1},
        {"setupFee": 2},
        {"currency": "EUR"},
        {"period": "monthly"},
        {"features": ["F"]},
    ]
    _send_concurrently(lambda turn: api.update_product(product_id, changes[turn]), len(changes))
    after = api.get_product(product_id).json()
    assert all(after[name] == value for change in changes for name, value in change.items())
    assert after["version"] == 1 + len(changes)


def test_concurrent_updates_of_one_version_succeed_once(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    tag = {"If-Match": api.tag_of(product_id)}
    responses = _send_concurrently(
        lambda turn: api.update_product(product_id, {"price": turn + 1}, tag), 16
    )
    [winner] = [response for response in responses if response.status == 200]
    assert sorted(response.status for response in responses) == [200] + [412] * 15
    assert api.get_product(product_id).body == winner.body


def test_no_update_succeeds_after_deletion(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]

    def update_or_delete(turn: int) -> ApiResponse:
        if turn == 8:
            return api.delete_product(product_id)
        return api.update_product(product_id, {"price": turn + 1})

    responses = _send_concurrently(update_or_delete, 16)
    assert responses[8].status == 204
    assert {response.status for response in responses} <= {200, 204, 404}
    assert api.get_product(product_id).status == 404


def test_concurrent_deletions_all_return_204(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert {
        response.status
        for response in _send_concurrently(lambda _: api.delete_product(product_id), 8)
    } == {204}
