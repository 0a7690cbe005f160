"""PUT /products/{productId}: changed fields, rejected values and preconditions."""

import pytest

from tests.support.factory import product_body, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.rejected_values import INVALID_VALUES, READ_ONLY_OR_UNKNOWN_FIELDS, short_id
from tests.support.waiting import eventually

CHANGES: list[tuple[str, object]] = [
    ("name", "Another"),
    ("description", "Another\n\ttext"),
    ("price", 7),
    ("setupFee", 8),
    ("currency", "EUR"),
    ("period", "monthly"),
    ("features", ["Only this"]),
]


@pytest.mark.parametrize(("field", "value"), CHANGES, ids=[field for field, _ in CHANGES])
def test_update_changes_only_given_field(api: ProductApi, field: str, value: object) -> None:
    product = api.new_product(setupFee=5)
    before = api.tag_of(product["productId"])
    changed = api.update_product(product["productId"], {field: value})
    assert changed.status == 200
    assert changed.headers["ETag"] == api.tag_of(product["productId"]) != before
    after = changed.json()
    assert after == {**product, field: value, "version": 2, "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > product["updatedAt"]
    assert api.get_product(product["productId"]).json() == after


def test_update_changes_all_fields_together(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    after = api.update_product(product_id, dict(CHANGES)).json()
    assert {field: after[field] for field, _ in CHANGES} == dict(CHANGES)


def test_update_increases_version_by_one(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    versions = [api.update_product(product_id, {"price": 5}).json()["version"] for _ in range(4)]
    assert versions == [2, 3, 4, 5]


def test_update_null_removes_setup_fee(api: ProductApi) -> None:
    product_id = api.new_product(setupFee=5)["productId"]
    assert "setupFee" not in api.update_product(product_id, {"setupFee": None}).json()
    assert "setupFee" not in api.get_product(product_id).json()
    assert api.update_product(product_id, {"setupFee": None}).status == 200


def test_update_trims_text(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert api.update_product(product_id, {"name": "  New "}).json()["name"] == "New"


def test_update_without_fields_returns_400(api: ProductApi) -> None:
    product = api.new_product()
    rejected = api.update_product(product["productId"], {})
    assert rejected.status == 400
    assert api.get_product(product["productId"]).json() == product


@pytest.mark.parametrize(("field", "value"), INVALID_VALUES, ids=short_id)
def test_update_invalid_value_returns_400_with_field(
    api: ProductApi, field: str, value: object
) -> None:
    rejected = api.update_product(unused_product_id(), {field: value})
    assert rejected.status == 400
    assert {name.split("[")[0] for name in rejected.error_fields()} == {field}


@pytest.mark.parametrize(
    ("field", "value"), [*READ_ONLY_OR_UNKNOWN_FIELDS, ("productId", "PROD-001")]
)
def test_update_unwritable_field_returns_400_with_field(
    api: ProductApi, field: str, value: object
) -> None:
    rejected = api.update_product(unused_product_id(), {"price": 1, field: value})
    assert rejected.status == 400
    assert len(rejected.error_fields()) == 1
    assert not field or rejected.error_fields() == {field}


def test_update_product_id_returns_400(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    rejected = api.update_product(product_id, product_body(productId=product_id))
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId"}


def test_update_reports_all_errors_together(api: ProductApi) -> None:
    rejected = api.update_product("plan", {"name": "", "colour": "red"}, {"If-Match": "1"})
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId", "If-Match", "name", "colour"}


def test_update_missing_product_returns_404(api: ProductApi) -> None:
    product_id = unused_product_id()
    assert api.update_product(product_id, {"price": 1}).status == 404
    assert api.update_product(product_id, {"price": 1}, {"If-Match": '"1"'}).status == 404
    assert api.update_product(product_id, {"price": 1}, {"If-Match": "*"}).status == 404
    assert api.get_product(product_id).status == 404


def test_update_deleted_product_returns_404(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    tag = api.tag_of(product_id)
    api.delete_product(product_id)
    for tags in (tag, '"2"', "*"):
        assert api.update_product(product_id, {"price": 1}, {"If-Match": tags}).status == 404
    assert api.update_product(product_id, {"price": 1}).status == 404


def test_restored_product_is_as_before(api: ProductApi) -> None:
    product = api.new_product(setupFee=5)
    product_id = product["productId"]
    tag = api.tag_of(product_id)
    api.delete_product(product_id)
    restored = api.update_product(product_id, {"active": True})
    assert restored.status == 200
    after = restored.json()
    assert after == {**product, "version": 3, "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > product["updatedAt"]
    assert api.get_product(product_id).json() == after
    assert restored.headers["ETag"] == api.tag_of(product_id) != tag
    eventually(
        lambda: after in api.list_products(limit=100).json()["products"] or None,
        "the restored product in the list",
    )


def test_restoration_changes_other_fields_too(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.delete_product(product_id)
    restored = api.update_product(product_id, {**dict(CHANGES), "active": True}).json()
    assert {field: restored[field] for field, _ in CHANGES} == dict(CHANGES)
    assert restored["active"] is True


def test_restoration_of_active_product_is_a_change(api: ProductApi) -> None:
    product = api.new_product()
    again = api.update_product(product["productId"], {"active": True})
    assert again.status == 200
    assert again.json() == {**product, "version": 2, "updatedAt": again.json()["updatedAt"]}


def test_restoration_of_missing_product_returns_404(api: ProductApi) -> None:
    product_id = unused_product_id()
    assert api.update_product(product_id, {"active": True}).status == 404
    assert api.update_product(product_id, {**dict(CHANGES), "active": True}).status == 404
    assert api.get_product(product_id).status == 404


def test_restoration_with_if_match_needs_current_tag(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    tag = api.tag_of(product_id)
    api.delete_product(product_id)
    for headers in ({"If-Match": tag}, {"If-None-Match": "*"}):
        assert api.update_product(product_id, {"active": True}, headers).status == 412
    assert api.get_product(product_id).status == 404
    assert api.update_product(product_id, {"active": True}, {"If-Match": "*"}).status == 200


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_update_other_active_returns_400_and_names_delete(api: ProductApi, value: object) -> None:
    product_id = api.new_product()["productId"]
    rejected = api.update_product(product_id, {"active": value})
    assert rejected.status == 400
    (error,) = rejected.json()["errors"]
    assert error["field"] == "active"
    assert "DELETE" in error["message"]
    assert api.get_product(product_id).status == 200


@pytest.mark.parametrize("tags", ["TAG", "*", '"7", TAG', '"7",TAG', 'W/"7", TAG', " TAG"])
def test_update_with_matching_if_match_returns_200(api: ProductApi, tags: str) -> None:
    product_id = api.new_product()["productId"]
    tag = api.tag_of(product_id)
    changed = api.update_product(product_id, {"price": 1}, {"If-Match": tags.replace("TAG", tag)})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag
    old = api.update_product(product_id, {"price": 2}, {"If-Match": tag})
    assert old.status == 412


@pytest.mark.parametrize("tags", ['"0"', '"1"', "W/TAG", '"2", "3"', '"x"', '""', '"01"'])
def test_update_with_other_if_match_returns_412(api: ProductApi, tags: str) -> None:
    product = api.new_product()
    tags = tags.replace("TAG", api.tag_of(product["productId"]))
    rejected = api.update_product(product["productId"], {"price": 1}, {"If-Match": tags})
    assert rejected.status == 412
    assert api.get_product(product["productId"]).json() == product


def test_update_with_if_none_match_star_returns_412(api: ProductApi) -> None:
    product = api.new_product()
    headers = {"If-None-Match": "*"}
    assert api.update_product(product["productId"], {"price": 1}, headers).status == 412
    assert api.get_product(product["productId"]).json() == product
    assert api.update_product(unused_product_id(), {"price": 1}, headers).status == 404


def test_update_accepts_tags_in_several_headers(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    lines = [("If-Match", '"7"'), ("If-Match", api.tag_of(product_id))]
    assert api.update_product(product_id, {"price": 1}, lines).status == 200


@pytest.mark.parametrize("tags", ["1", '"1', '1"', "'1'", '"1" "2"', "*, *", '*,"1"'])
def test_update_malformed_if_match_returns_400(api: ProductApi, tags: str) -> None:
    product = api.new_product()
    rejected = api.update_product(product["productId"], {"price": 1}, {"If-Match": tags})
    assert rejected.status == 400
    assert rejected.error_fields() == {"If-Match"}
    assert api.get_product(product["productId"]).json() == product
