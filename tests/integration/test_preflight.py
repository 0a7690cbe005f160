"""The preflight on an account of the local AWS: each part found, and missing.

A server in front of the local AWS denies a call, or has the responses of services that the local
AWS lacks.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import preflight
from product_tools.preflight import (
    api_gateway,
    quotas,
    region,
    rights,
    search_domain,
    sign_in,
    state_bucket,
    table,
)
from product_tools.preflight.checks import Check, Finding, Outcome, found, results
from tests.support.prepared_account import (
    REGION,
    PreparedAccount,
    attributes,
    index,
    is_complete,
    key_schema,
    rows,
)
from tests.support.stub_server import StubServer
from tests.support.terraform_files import STATE_KEY, without_credentials

FOUND, MISSING, UNCHECKED = Outcome
ACCOUNT_SETTINGS = "GET */account-settings*"


# --- The bucket of the state ---


def test_bucket_as_needed_is_found(account: PreparedAccount) -> None:
    account.make_bucket()

    assert is_complete(state_bucket)


@pytest.mark.usefixtures("account")
def test_missing_bucket_leaves_rest_unchecked() -> None:
    first, *others = rows(state_bucket).values()

    assert (first.outcome, first.found) == (MISSING, "no such bucket")
    assert "CI/CD guide" in first.mend
    assert {(row.outcome, row.mend) for row in others} == {(UNCHECKED, "mend the rows above first")}


def test_bucket_in_other_region_is_missing(account: PreparedAccount) -> None:
    client = account.client("s3", "eu-central-1")
    place = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket=account.files.bucket, CreateBucketConfiguration=place)

    assert rows(state_bucket)["State bucket"].outcome is MISSING


def test_bucket_without_versions_is_missing(account: PreparedAccount) -> None:
    account.make_bucket()
    account.client("s3").put_bucket_versioning(
        Bucket=account.files.bucket, VersioningConfiguration={"Status": "Suspended"}
    )

    row = rows(state_bucket)["State bucket: versions"]

    assert (row.outcome, row.found) == (MISSING, "versioning suspended")


def test_public_bucket_is_missing(account: PreparedAccount) -> None:
    account.make_bucket()
    account.client("s3").put_public_access_block(
        Bucket=account.files.bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True}
    )

    row = rows(state_bucket)["State bucket: private"]

    assert row.outcome is MISSING
    assert row.found == "not set: BlockPublicPolicy, IgnorePublicAcls, RestrictPublicBuckets"


def test_bucket_without_access_block_is_missing(account: PreparedAccount) -> None:
    account.make_bucket()
    account.client("s3").delete_public_access_block(Bucket=account.files.bucket)

    assert rows(state_bucket)["State bucket: private"].outcome is MISSING


def test_bucket_without_encryption_is_missing(account: PreparedAccount, stub: StubServer) -> None:
    account.make_bucket()
    code = "ServerSideEncryptionConfigurationNotFoundError"
    stub.respond("GET /*encryption*", f"<Error><Code>{code}</Code></Error>", status=404)

    assert rows(state_bucket)["State bucket: encrypted"].outcome is MISSING


def test_locked_state_is_missing(account: PreparedAccount) -> None:
    account.make_bucket()
    account.client("s3").put_object(Bucket=account.files.bucket, Key=f"{STATE_KEY}.tflock")

    row = rows(state_bucket)["State: lock"]

    assert row.outcome is MISSING
    assert row.found.startswith("locked since 20")


# --- The table ---


def test_table_as_in_schema_is_found(account: PreparedAccount) -> None:
    account.make_table()

    assert is_complete(table)


@pytest.mark.usefixtures("account")
def test_missing_table_leaves_rest_unchecked() -> None:
    first, *others = rows(table).values()

    assert (first.outcome, first.found) == (MISSING, "no such table")
    assert {row.outcome for row in others} == {UNCHECKED}


def test_table_of_other_name_is_looked_at(account: PreparedAccount) -> None:
    account.files.set("table_name", "products-dev-restored")
    account.table_name = "products-dev-restored"
    account.make_table()

    assert is_complete(table)


@pytest.mark.parametrize(
    ("changes", "what", "seen"),
    [
        pytest.param(
            {
                "KeySchema": key_schema("id", "SK"),
                "AttributeDefinitions": attributes(id="N", SK="S", active="S", createdAt="S"),
            },
            "Table: keys",
            "id (N) and SK (S)",
            id="keys",
        ),
        pytest.param(
            {"GlobalSecondaryIndexes": [index("AnotherIndex", "active", "createdAt")]},
            "Table: ActiveProductsIndex",
            "no such index",
            id="index",
        ),
        pytest.param(
            {"GlobalSecondaryIndexes": [index("ActiveProductsIndex", "createdAt", "active")]},
            "Table: ActiveProductsIndex",
            "keys createdAt (S) and active (S), ALL attributes",
            id="keys of index",
        ),
        pytest.param(
            {
                "GlobalSecondaryIndexes": [
                    index("ActiveProductsIndex", "active", "createdAt", "KEYS_ONLY")
                ]
            },
            "Table: ActiveProductsIndex",
            "keys active (S) and createdAt (S), KEYS_ONLY attributes",
            id="projection",
        ),
    ],
)
def test_other_table_than_in_schema_is_missing(
    account: PreparedAccount, changes: dict[str, object], what: str, seen: str
) -> None:
    account.make_table(**changes)

    row = rows(table)[what]

    assert (row.outcome, row.found) == (MISSING, seen)
    assert "schema repository" in row.mend


@pytest.fixture
def product_indexes(account: PreparedAccount) -> list[dict[str, Any]]:
    """The switch for sorting and searching is on; the indexes that it needs, and the usual one."""
    account.files.set("enable_product_indexes", value=True)
    return [
        index("ActiveProductsIndex", "active", "createdAt"),
        index("ProductsByPriceIndex", "active", "price"),
        index("ProductsByNameIndex", "active", "nameKey"),
    ]


def make_table_with(
    account: PreparedAccount, indexes: list[dict[str, Any]], price: str = "N"
) -> None:
    keys = {key["AttributeName"] for each in indexes for key in each["KeySchema"]}
    types = {**dict.fromkeys(["PK", "SK", *keys], "S"), "price": price}
    used = {name: kind for name, kind in types.items() if name in {"PK", "SK", *keys}}
    account.make_table(GlobalSecondaryIndexes=indexes, AttributeDefinitions=attributes(**used))


def test_indexes_of_switch_are_found(
    account: PreparedAccount, product_indexes: list[dict[str, Any]]
) -> None:
    make_table_with(account, product_indexes)

    assert is_complete(table)
    assert {"Table: ProductsByPriceIndex", "Table: ProductsByNameIndex"} <= set(rows(table))


@pytest.mark.parametrize("absent", ["ProductsByPriceIndex", "ProductsByNameIndex"])
def test_missing_index_of_switch_is_missing(
    account: PreparedAccount, product_indexes: list[dict[str, Any]], absent: str
) -> None:
    make_table_with(account, [each for each in product_indexes if each["IndexName"] != absent])

    row = rows(table)[f"Table: {absent}"]

    assert (row.outcome, row.found) == (MISSING, "no such index")


def test_index_of_number_as_text_is_missing(
    account: PreparedAccount, product_indexes: list[dict[str, Any]]
) -> None:
    make_table_with(account, product_indexes, price="S")

    row = rows(table)["Table: ProductsByPriceIndex"]

    assert row.outcome is MISSING
    assert row.found == "keys active (S) and price (S), ALL attributes"


def test_provisioned_table_is_missing(account: PreparedAccount) -> None:
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    indexes = [index("ActiveProductsIndex", "active", "createdAt")]
    account.make_table(
        BillingMode="PROVISIONED",
        ProvisionedThroughput=throughput,
        GlobalSecondaryIndexes=[{**each, "ProvisionedThroughput": throughput} for each in indexes],
    )

    assert rows(table)["Table: billing"].found == "PROVISIONED"
    assert rows(table)["Table: billing"].outcome is MISSING


def test_index_in_creation_is_missing(account: PreparedAccount, stub: StubServer) -> None:
    account.make_table()
    description = account.client("dynamodb").describe_table(TableName=account.table_name)["Table"]
    description["GlobalSecondaryIndexes"][0]["IndexStatus"] = "CREATING"
    stub.respond("DescribeTable", {"Table": {**description, "CreationDateTime": 0}})

    row = rows(table)["Table: ActiveProductsIndex"]

    assert (row.outcome, row.found) == (MISSING, "it is CREATING")
    assert row.mend == "wait until it is ACTIVE"


@pytest.mark.parametrize("attribute", [None, "another"])
def test_other_time_to_live_is_missing(account: PreparedAccount, attribute: str | None) -> None:
    account.make_table()
    client = account.client("dynamodb")
    off = {"Enabled": False, "AttributeName": "expiresAt"}
    client.update_time_to_live(TableName=account.table_name, TimeToLiveSpecification=off)
    if attribute:
        other = {"Enabled": True, "AttributeName": attribute}
        client.update_time_to_live(TableName=account.table_name, TimeToLiveSpecification=other)

    row = rows(table)["Table: time to live"]

    assert (row.outcome, row.found) == (MISSING, f"by {attribute}" if attribute else "off")


def test_table_without_backups_is_missing(account: PreparedAccount) -> None:
    account.make_table()
    account.set_backups(enabled=False)

    assert rows(table)["Table: backups"].outcome is MISSING


@pytest.mark.parametrize(
    ("stream", "outcome", "seen"),
    [
        ({"StreamEnabled": False}, MISSING, "no stream"),
        (
            {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            MISSING,
            "a stream with KEYS_ONLY",
        ),
        (
            {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            FOUND,
            "a stream with NEW_AND_OLD_IMAGES",
        ),
    ],
)
@pytest.mark.parametrize("switch", table.STREAM_SWITCHES)
def test_switch_needs_stream_with_images(
    account: PreparedAccount, switch: str, stream: dict[str, object], outcome: Outcome, seen: str
) -> None:
    account.files.set(switch, value=True)
    account.make_table(StreamSpecification=stream)

    row = rows(table)["Table: stream"]

    assert (row.outcome, row.found) == (outcome, seen)
    assert switch in row.needed


# --- The domain of the search index ---

DOMAIN = {
    "Created": True,
    "Deleted": False,
    "EngineVersion": "OpenSearch_2.19",
    "Endpoint": "search-products.eu-west-1.es.amazonaws.com",
}
DESCRIBE_DOMAIN = "GET /2021-01-01/opensearch/domain/products"


@pytest.fixture
def search_index(account: PreparedAccount) -> PreparedAccount:
    """An account whose search index is on."""
    account.files.set("enable_opensearch", value=True)
    account.files.set("opensearch_domain_arn", "arn:aws:es:eu-west-1:1:domain/products")
    account.files.set("opensearch_endpoint", f"https://{DOMAIN['Endpoint']}")
    return account


@pytest.mark.usefixtures("account")
def test_without_search_index_no_domain_is_looked_for() -> None:
    assert rows(search_domain) == {}


@pytest.mark.usefixtures("search_index")
def test_domain_with_its_endpoint_is_found(stub: StubServer) -> None:
    stub.respond(DESCRIBE_DOMAIN, {"DomainStatus": DOMAIN})

    assert is_complete(search_domain)
    assert stub.count(DESCRIBE_DOMAIN) == 1


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        ({"Deleted": True}, "it is being created or deleted"),
        ({"Created": False}, "it is being created or deleted"),
        ({"VPCOptions": {"VPCId": "vpc-1"}}, "it is in a VPC, which the functions cannot reach"),
    ],
)
@pytest.mark.usefixtures("search_index")
def test_unusable_domain_is_missing(stub: StubServer, status: dict[str, object], seen: str) -> None:
    stub.respond(DESCRIBE_DOMAIN, {"DomainStatus": DOMAIN | status})

    row = rows(search_domain)["Search domain"]

    assert (row.outcome, row.found) == (MISSING, seen)


@pytest.mark.usefixtures("search_index")
def test_absent_domain_leaves_its_endpoint_unchecked(stub: StubServer) -> None:
    stub.fail_next(DESCRIBE_DOMAIN, "ResourceNotFoundException", 409, times=2)

    first, second = rows(search_domain).values()

    assert (first.outcome, first.found) == (MISSING, "no such domain")
    assert second.outcome is UNCHECKED


@pytest.mark.usefixtures("search_index")
def test_other_endpoint_of_domain_is_missing(stub: StubServer) -> None:
    stub.respond(DESCRIBE_DOMAIN, {"DomainStatus": DOMAIN | {"Endpoint": "elsewhere"}})

    row = rows(search_domain)["Search domain: endpoint"]

    assert (row.outcome, row.found) == (MISSING, "https://elsewhere")


# --- API Gateway ---


def test_own_role_for_logs_is_found(account: PreparedAccount) -> None:
    arn = account.make_log_role()

    assert is_complete(api_gateway)
    assert rows(api_gateway)["API Gateway: role for logs"].found == arn


def test_role_for_logs_of_other_stack_is_found(account: PreparedAccount) -> None:
    arn = account.make_log_role("logs-of-another-team")

    row = rows(api_gateway)["API Gateway: role for logs"]

    assert (row.outcome, row.found) == (FOUND, f"{arn}, which another stack manages")


@pytest.mark.usefixtures("account")
def test_settings_without_role_for_logs_are_missing() -> None:
    row = rows(api_gateway)["API Gateway: role for logs"]

    assert (row.outcome, row.found) == (MISSING, "no role")
    assert "apply terraform/region" in row.mend


def test_deleted_role_for_logs_is_missing(account: PreparedAccount) -> None:
    arn = account.make_log_role("deleted")
    account.client("iam").delete_role(RoleName="deleted")

    row = rows(api_gateway)["API Gateway: role for logs"]

    assert (row.outcome, row.found) == (MISSING, f"{arn}, which does not exist")


def test_role_for_other_service_is_missing(account: PreparedAccount) -> None:
    account.make_log_role(service="lambda.amazonaws.com")

    row = rows(api_gateway)["API Gateway: role for logs"]

    assert row.outcome is MISSING
    assert row.found.endswith("which does not trust apigateway.amazonaws.com")


@pytest.mark.parametrize(("name", "value"), [("rate", 10001), ("burst", 5001)])
def test_limit_above_that_of_account_is_missing(
    account: PreparedAccount, name: str, value: int
) -> None:
    account.files.set(f"stage_throttle_{name}", value)

    row = rows(api_gateway)["API Gateway: limits"]

    assert (row.outcome, row.found) == (MISSING, "10000 requests a second, bursts of 5000")


def test_custom_domain_with_tls_1_2_is_found(account: PreparedAccount) -> None:
    account.make_log_role()
    account.make_domain("api.example.com")

    assert is_complete(api_gateway)


def test_missing_custom_domain_is_missing(account: PreparedAccount) -> None:
    account.files.set("custom_domain_name", "api.example.com")

    found_rows = rows(api_gateway)

    assert found_rows["Custom domain"].outcome is MISSING
    assert found_rows["Custom domain: TLS"].outcome is UNCHECKED


def test_custom_domain_with_tls_1_0_is_missing(account: PreparedAccount) -> None:
    account.make_domain("old.example.com", policy="TLS_1_0")

    row = rows(api_gateway)["Custom domain: TLS"]

    assert (row.outcome, row.found) == (MISSING, "TLS_1_0")


def test_edge_custom_domain_is_missing(account: PreparedAccount) -> None:
    account.make_domain("edge.example.com", kind="EDGE")

    row = rows(api_gateway)["Custom domain"]

    assert (row.outcome, row.found) == (MISSING, "edge, available")


# --- The region ---


@pytest.mark.usefixtures("account")
def test_enabled_region_is_found() -> None:
    assert is_complete(region)


@pytest.mark.usefixtures("account")
def test_disabled_region_is_missing(stub: StubServer) -> None:
    stub.respond("POST /getRegionOptStatus", {"RegionOptStatus": "DISABLED"})

    assert rows(region)["Region"].found == "disabled"
    assert rows(region)["Region"].outcome is MISSING


def test_region_with_snapstart_is_found(account: PreparedAccount) -> None:
    account.files.set("snapstart", value=True)

    assert is_complete(region)


def test_region_without_snapstart_is_missing(account: PreparedAccount) -> None:
    account.files.set("snapstart", value=True)
    account.files.set("aws_region", "ap-east-2")

    assert rows(region)["SnapStart"].outcome is MISSING


def test_region_without_snapstart_is_enough_without_it(account: PreparedAccount) -> None:
    account.files.set("snapstart", value=False)

    assert "SnapStart" not in rows(region)


# --- Quotas ---


@pytest.fixture
def known_quotas(stub: StubServer) -> None:
    """Two regional APIs, of which the local AWS knows no quota, and 1000 executions.

    The local AWS derives the number of executions from the memory of the machine.
    """
    stub.respond("GetServiceQuota", {"Quota": {"Value": 2.0}})
    stub.respond(ACCOUNT_SETTINGS, {"AccountLimit": {"ConcurrentExecutions": 1000}})


@pytest.mark.usefixtures("account", "known_quotas")
def test_quotas_with_room_are_found() -> None:
    assert is_complete(quotas)


@pytest.mark.usefixtures("account", "known_quotas")
def test_concurrency_of_new_account_is_missing(stub: StubServer) -> None:
    stub.respond(ACCOUNT_SETTINGS, {"AccountLimit": {"ConcurrentExecutions": 10}})

    row = rows(quotas)["Quota: concurrency of Lambda"]

    assert (row.outcome, row.found) == (MISSING, "10 concurrent executions")
    assert row.needed.startswith("100 concurrent executions")


@pytest.mark.usefixtures("known_quotas")
def test_reservations_need_concurrency(account: PreparedAccount) -> None:
    account.files.set("reserved_concurrency", 200)

    row = rows(quotas)["Quota: concurrency of Lambda"]

    assert row.needed.startswith("1100 concurrent executions")
    assert row.outcome is MISSING


@pytest.mark.usefixtures("known_quotas")
@pytest.mark.parametrize(
    ("names", "outcome"),
    [(["a", "b"], MISSING), (["a", "bbws-product-api-dev"], FOUND), (["a"], FOUND)],
    ids=["full", "deployed", "room"],
)
def test_apis_need_room_in_quota(
    account: PreparedAccount, names: list[str], outcome: Outcome
) -> None:
    for name in names:
        account.client("apigateway").create_rest_api(
            name=name, endpointConfiguration={"types": ["REGIONAL"]}
        )

    row = rows(quotas)["Quota: APIs"]

    assert (row.outcome, row.found) == (outcome, f"{len(names)} of 2 are used")


@pytest.mark.usefixtures("known_quotas")
def test_roles_need_room_in_quota(account: PreparedAccount, stub: StubServer) -> None:
    account.make_role(
        "bbws-get-product-dev-eu-west-1",
        {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )
    entries = "".join(
        f"<entry><key>{name}</key><value>{value}</value></entry>"
        for name, value in {"Roles": 997, "RolesQuota": 1000}.items()
    )
    stub.respond(
        "GetAccountSummary",
        f"<R><GetAccountSummaryResult><SummaryMap>{entries}</SummaryMap></GetAccountSummaryResult></R>",
    )

    row = rows(quotas)["Quota: IAM roles"]

    assert (row.outcome, row.found) == (MISSING, "997 of 1000 are used, 4 are to come")


# --- Failed looks ---


@pytest.mark.parametrize(
    ("topic", "denied", "call"),
    [
        pytest.param(topic, denied, call, id=call)
        for topic, denied, call in (
            (state_bucket, "GET /*versioning*", "GetBucketVersioning"),
            (state_bucket, "HEAD *", "HeadBucket"),
            (table, "DescribeTable", "DescribeTable"),
            (table, "DescribeTimeToLive", "DescribeTimeToLive"),
            (api_gateway, "GET /account", "GetAccount"),
            (region, "POST /getRegionOptStatus", "GetRegionOptStatus"),
            (quotas, "GetServiceQuota", "GetServiceQuota"),
            (quotas, "GetAccountSummary", "GetAccountSummary"),
            (sign_in, "GetOpenIDConnectProvider", "GetOpenIDConnectProvider"),
            (sign_in, "GetRole", "GetRole"),
            (rights, "SimulatePrincipalPolicy", "SimulatePrincipalPolicy"),
        )
    ],
)
def test_denied_look_is_unchecked(
    account: PreparedAccount, stub: StubServer, topic: ModuleType, denied: str, call: str
) -> None:
    account.prepare()
    stub.respond("GetServiceQuota", {"Quota": {"Value": 2.0}})
    stub.deny(denied)

    others = [row for row in rows(topic).values() if row.outcome is not FOUND]

    assert {(row.outcome, row.found) for row in others} == {
        (UNCHECKED, f"not allowed to look: {call}")
    }
    assert all("read rights" in row.mend for row in others)


def test_failed_look_is_unchecked(account: PreparedAccount, stub: StubServer) -> None:
    account.make_table()
    stub.respond("DescribeTable", {"__type": "InternalServerError"}, status=500)

    row = rows(table)["Table"]

    assert row.outcome is UNCHECKED
    assert row.found.startswith("the call failed: An error occurred (InternalServerError)")


def test_unreachable_service_is_unchecked(
    account: PreparedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.make_bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")

    assert {row.outcome for row in rows(table).values()} == {UNCHECKED}
    assert is_complete(state_bucket)


def test_looks_after_deadline_are_unchecked() -> None:
    calls: list[str] = []

    def look() -> Finding:
        calls.append("look")
        return found("it")

    [row] = results([Check("a thing", "it", "make it", look)], seconds=0)

    assert row.outcome is UNCHECKED
    assert "the 0 s of this run were over" in row.found
    assert calls == []


# --- The command ---


@pytest.fixture
def only_bucket_and_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with few topics; the table on a wide terminal."""
    monkeypatch.setattr(preflight, "TOPICS", (state_bucket, table))
    monkeypatch.setenv("COLUMNS", "300")


@pytest.mark.usefixtures("only_bucket_and_table")
def test_complete_account_exits_with_0(
    account: PreparedAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    account.prepare()

    assert preflight.main(["--environment", "dev"]) == 0

    last_line = capsys.readouterr().out.splitlines()[-1]
    assert last_line == f"dev, {account.files.account}, {REGION}: 11 found, 0 missing, 0 unchecked."


@pytest.mark.usefixtures("only_bucket_and_table")
def test_missing_part_exits_with_1(
    account: PreparedAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    account.make_bucket()

    assert preflight.main(["--environment", "dev"]) == 1

    printed = capsys.readouterr().out
    [row] = [line for line in printed.splitlines() if "no such table" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells == [
        "Table",
        "missing",
        "no such table",
        "products-dev, active",
        "let the schema repository create the table",
    ]
    assert "5 found, 1 missing, 5 unchecked." in printed


@pytest.mark.usefixtures("only_bucket_and_table")
def test_unchecked_rows_alone_exit_with_0(
    account: PreparedAccount, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    account.prepare()
    stub.deny("DescribeContinuousBackups")

    assert preflight.main(["--environment", "dev"]) == 0

    assert "10 found, 0 missing, 1 unchecked." in capsys.readouterr().out


def test_other_account_is_one_sentence(
    account: PreparedAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")

    assert preflight.main(["--environment", "dev"]) == 1

    assert one_sentence(capsys) == (
        f"The credentials are of the account 111111111111, but dev is in {account.files.account}:"
        " sign in to that account, then try again."
    )


def test_missing_credentials_are_one_sentence(
    account: PreparedAccount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_credentials(monkeypatch, tmp_path)

    assert preflight.main(["--environment", "dev"]) == 1

    assert one_sentence(capsys) == (
        f"There are no AWS credentials: sign in to the account {account.files.account}, then try"
        " again."
    )


@pytest.mark.usefixtures("account")
def test_unknown_profile_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert preflight.main(["--environment", "dev"]) == 1

    assert "The config profile (nobody) could not be found" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("ExpiredToken", "AWS rejects the credentials (ExpiredToken): sign in again"),
        ("Throttling", "The call to AWS failed"),
    ],
)
@pytest.mark.usefixtures("account")
def test_rejected_credentials_are_one_sentence(
    stub: StubServer, capsys: pytest.CaptureFixture[str], code: str, sentence: str
) -> None:
    error = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
    stub.respond("GetCallerIdentity", error, status=403)

    assert preflight.main(["--environment", "dev"]) == 1

    assert one_sentence(capsys).startswith(sentence)


@pytest.mark.usefixtures("account")
def test_unreachable_aws_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    assert preflight.main(["--environment", "dev"]) == 1

    assert one_sentence(capsys).startswith("The call to AWS failed")


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the command printed: one line on stderr, and nothing on stdout."""
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    return line
