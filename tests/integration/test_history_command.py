"""`scripts/catalogue.py history`: an audit bucket on the engine, and errors of S3."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import simplejson

import catalogue
from tests.support.audit_trail import AuditTrail, change_event, product_shown, text_of
from tests.support.prepared_account import PreparedAccount
from tests.support.stub_server import StubServer
from tests.support.terraform_files import without_credentials

pytestmark = pytest.mark.usefixtures("script_environment")

RANGE = ("--since", "2026-01-30", "--until", "2026-02-02")


def run(*arguments: str, environment: str = "dev") -> int:
    return catalogue.main(["history", "PROD-001", "--environment", environment, *arguments])


def state(version: int, updated_at: str, **fields: object) -> dict[str, Any]:
    return product_shown(version=version, updatedAt=f"{updated_at}.000000Z", **fields)


@pytest.fixture
def trail(account: PreparedAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditTrail]:
    """An empty audit bucket."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    trail = AuditTrail(account.client("s3"))
    yield trail
    trail.delete()


CREATED = state(1, "2026-01-31T09:30:00", price=Decimal(1000))
CHANGED = state(2, "2026-01-31T10:00:00", price=Decimal("1299.10"))
DELETED = state(3, "2026-02-01T08:00:00", price=Decimal("1299.10"), active=False)
RESTORED = state(4, "2026-02-01T08:00:00", price=Decimal("1299.10"))
EVENTS = (
    change_event(None, CREATED, "ProductCreated"),
    change_event(CREATED, CHANGED),
    change_event(CHANGED, DELETED, "ProductDeleted"),
    change_event(DELETED, RESTORED, "ProductRestored", changedBy=None),
)


def test_changes_are_shown_in_order_with_who_and_what(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in reversed(EVENTS):
        trail.add(event)

    assert run(*RANGE) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert [row for row in rows if row[0]] == [
        ["2026-01-31 09:30:00.000000", "1", "created", "k1l2m3n4o5", 'name "Entry"'],
        ["2026-01-31 10:00:00.000000", "2", "changed", "k1l2m3n4o5", "price 1000 → 1299.10"],
        ["2026-02-01 08:00:00.000000", "3", "retired", "k1l2m3n4o5", "active true → false"],
        ["2026-02-01 08:00:00.000000", "4", "restored", "another program", "active false → true"],
    ]


def test_repeat_under_another_key_is_shown_once(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.add(EVENTS[0])
    trail.add(EVENTS[0], key="2026/02/01/PROD-001_copy.json")

    assert run(*RANGE) == 0
    assert "Changes of PROD-001 from 2026-01-30 00:00 to 2026-02-03 00:00 (UTC): 1." in (
        capsys.readouterr().out
    )


def test_changes_outside_range_and_of_others_are_left_out(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in EVENTS:
        trail.add(event)
    trail.add(change_event(None, {**CREATED, "productId": "PROD-0011"}, "ProductCreated"))

    assert (
        run("--since", "2026-01-31T09:45", "--until", "2026-01-31T23:00", "--format", "json") == 0
    )
    shown = simplejson.loads(capsys.readouterr().out)
    assert [change["version"] for change in shown] == [2]


def test_json_has_exact_amounts(trail: AuditTrail, capsys: pytest.CaptureFixture[str]) -> None:
    trail.add(EVENTS[1])

    assert run(*RANGE, "--format", "json") == 0

    [change] = simplejson.loads(capsys.readouterr().out, parse_float=Decimal)
    assert change == {
        "changedAt": "2026-01-31T10:00:00.000000Z",
        "productId": "PROD-001",
        "version": 2,
        "change": "changed",
        "changedBy": "k1l2m3n4o5",
        "fields": [{"field": "price", "before": 1000, "after": Decimal("1299.10")}],
        "changeId": EVENTS[1]["detail"]["changeId"],
    }


def test_csv_has_row_for_each_field_and_no_formula(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    new = {**CHANGED, "name": '=HYPERLINK("http://a.example")', "features": ["-1", "+2"]}
    trail.add(change_event(CREATED, new))

    assert run(*RANGE, "--format", "csv") == 0

    text = capsys.readouterr().out
    assert text.startswith("\ufeffchangedAt,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [(row["field"], row["before"], row["after"]) for row in rows] == [
        ("name", "Entry", '\\=HYPERLINK("http://a.example")'),
        ("price", "1000", "1299.10"),
        ("features", "Five pages", "\\-1|+2"),
    ]
    assert {(row["version"], row["change"]) for row in rows} == {("2", "changed")}


def test_csv_keeps_removal_flags_and_states_of_no_kind(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.add(EVENTS[2])
    odd = change_event(None, DELETED, changedFields=["price", "period"])
    odd["detail"]["after"] = {**DELETED, "price": 7, "period": {"months": 1}}
    trail.add(odd)
    trail.add(change_event(RESTORED, None, "ProductRemoved", changedFields=[]))

    assert run(*RANGE, "--format", "csv") == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    cells = [(row["change"], row["field"], row["before"], row["after"]) for row in rows]
    assert sorted(cells) == [
        ("changed", "period", "", '{"months": 1}'),
        ("changed", "price", "", "7"),
        ("removed", "", "", ""),
        ("retired", "active", "true", "false"),
    ]


def test_object_in_glacier_is_named_and_hides_no_other(
    trail: AuditTrail, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    key, _ = trail.add(EVENTS[0]), trail.add(EVENTS[1])
    error = "<Error><Code>InvalidObjectState</Code><Message>Archived.</Message></Error>"
    stub.respond(f"GET */{key.replace(':', '%3A')}*", error, status=403)

    assert run(*RANGE) == 1

    output = capsys.readouterr()
    assert "price 1000 → 1299.10" in output.out
    assert output.err == (
        f"{key} was not read: it is in Glacier; restore it with aws s3api restore-object, and ask"
        " again when it is restored, after some hours.\n"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not JSON", "it is not JSON; find out who wrote it"),
        ("{}", "it is no event of bbws.product; find out who wrote it"),
        (
            text_of(change_event(None, {**CREATED, "productId": "PROD-002"}, "ProductCreated")),
            "its event is about PROD-002; find out who wrote it",
        ),
    ],
)
def test_foreign_object_is_named_and_hides_no_other(
    trail: AuditTrail, body: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.add(EVENTS[1])
    key = trail.put("2026/02/01/PROD-001_notes.json", body)

    assert run(*RANGE) == 1

    output = capsys.readouterr()
    assert "price 1000 → 1299.10" in output.out
    assert output.err.splitlines() == [f"{key} was not read: {reason}."]


def test_error_of_one_object_is_named_with_its_code(
    trail: AuditTrail, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    key = trail.add(EVENTS[0])
    stub.deny(f"GET */{key.replace(':', '%3A')}*")

    assert run(*RANGE) == 1
    assert f"{key} was not read: S3 responded AccessDenied; check" in capsys.readouterr().err


def test_object_that_breaks_off_is_named(
    trail: AuditTrail, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    key = trail.add(EVENTS[0])
    stub.break_off(f"GET */{key.replace(':', '%3A')}*")

    assert run(*RANGE) == 1
    assert f"{key} was not read: its content did not arrive" in capsys.readouterr().err


def test_many_objects_of_a_day_are_all_read(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in range(2, 30):
        trail.add(change_event(CREATED, {**CHANGED, "version": version}))

    assert run(*RANGE, "--format", "json") == 0
    shown = simplejson.loads(capsys.readouterr().out)
    assert [change["version"] for change in shown] == list(range(2, 30))


def test_product_without_changes_is_no_error(
    trail: AuditTrail, capsys: pytest.CaptureFixture[str]  # noqa: ARG001 (the bucket exists)
) -> None:
    assert run() == 0
    assert capsys.readouterr().out.endswith("(UTC): 0.\n")


def test_missing_bucket_says_that_switch_is_off(
    account: PreparedAccount,  # noqa: ARG001 (it is empty)
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(environment="sit") == 2
    assert capsys.readouterr().err == (
        "There is no bucket bbws-product-audit-logs-sit: the audit trail of sit is off"
        " (enable_audit_log), or the region or the account is another one.\n"
    )


def test_second_region_has_bucket_of_its_own(
    account: PreparedAccount,  # noqa: ARG001 (it is empty)
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(environment="prod-recovery") == 2
    assert "no bucket bbws-product-audit-logs-prod-eu-west-1: " in capsys.readouterr().err


def test_list_without_right_is_error(
    trail: AuditTrail,  # noqa: ARG001 (the bucket exists)
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.deny("GET *list-type*")
    assert run() == 2
    error = capsys.readouterr().err
    assert error.startswith("The call to AWS failed (An error occurred (AccessDenied)")
    assert error.count("\n") == 1


def test_missing_credentials_are_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_credentials(monkeypatch, tmp_path)
    assert run() == 2
    assert capsys.readouterr().err == (
        "There are no AWS credentials: sign in to the account, then try again.\n"
    )


def test_missing_environment_is_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    assert catalogue.main(["history", "PROD-001"]) == 2
    assert capsys.readouterr().err == (
        "An environment is needed (dev, sit, prod, prod-recovery): set ENVIRONMENT, or give"
        " --environment.\n"
    )


def test_environment_variable_names_environment(
    trail: AuditTrail, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.add(EVENTS[0])
    monkeypatch.setenv("ENVIRONMENT", "dev")
    assert catalogue.main(["history", "PROD-001", *RANGE]) == 0
    assert capsys.readouterr().out.endswith("(UTC): 1.\n")


def test_period_that_ends_before_it_begins_is_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--since", "2026-02-02", "--until", "2026-01-01") == 2
    assert "The period ends before it begins" in capsys.readouterr().err


def test_unknown_form_of_time_is_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--since", "a month")
    assert ended.value.code == 2
    assert "argument --since: 'a month' is no time: give 30d" in capsys.readouterr().err
