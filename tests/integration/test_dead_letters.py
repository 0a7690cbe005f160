"""`show_dead_letters.py` and `resend_dead_letters.py`: queues of the engine, and errors of SQS."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import resend_dead_letters
import show_dead_letters
from product_tools.dead_letters import QUEUES
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.function_stack import zipped_code
from tests.support.prepared_account import PreparedAccount
from tests.support.stub_server import StubServer

pytestmark = pytest.mark.usefixtures("script_environment")

REFUSED = ("ServiceUnavailable", 503)
RECORDER = """
import json, os
def handler(event, context):
    with open(os.environ["FILE"], "a") as file:
        file.write(json.dumps(event) + "\\n")
    if os.environ.get("FAILS"):
        raise RuntimeError("the bus is\\nnot there")
"""


class Queues:
    """The queues of DEV in an account of the test.

    Args:
        account: the account.
    """

    def __init__(self, account: PreparedAccount) -> None:
        self._client = account.client("sqs")
        self.urls: dict[str, str] = {}
        for names in QUEUES.values():
            for name in filter(None, (names.name.format("dev"), names.source.format("dev"))):
                options = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
                created = self._client.create_queue(QueueName=name, Attributes=options)
                self.urls[name] = created["QueueUrl"]

    def send(self, queue: str, body: str | Mapping[str, Any], **options: Any) -> str:
        """Send a message, and return its id; a group makes it one of a FIFO queue."""
        text = body if isinstance(body, str) else json.dumps(body)
        sent = self._client.send_message(QueueUrl=self.urls[queue], MessageBody=text, **options)
        return str(sent["MessageId"])

    def read(self, queue: str) -> list[dict[str, Any]]:
        """Return the visible messages of a queue, and hide none."""
        response = self._client.receive_message(
            QueueUrl=self.urls[queue],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(response.get("Messages", []))

    def hidden(self, queue: str) -> int:
        """Return how many messages of a queue somebody has received and not deleted."""
        name = "ApproximateNumberOfMessagesNotVisible"
        found = self._client.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=[name])
        return int(found["Attributes"][name])

    def bodies(self, queue: str) -> list[str]:
        """Return the texts of the visible messages of a queue."""
        return [message["Body"] for message in self.read(queue)]


AUDIT, AUDIT_DLQ = "bbws-product-audit-dev", "bbws-product-audit-dev-dlq"
CHANGE, CHANGE_DLQ = "bbws-product-change-dev.fifo", "bbws-product-change-dev-dlq.fifo"
PARKED, FAILURES = "bbws-product-parked-dev", "bbws-product-stream-failures-dev"


def event(product_id: str = "PROD-001", price: int = 1299) -> str:
    """Return the text of a change event."""
    old = product_shown(productId=product_id)
    return text_of(change_event(old, {**old, "price": price, "version": 2}))


def command(number: int, product_id: str = "PROD-001") -> dict[str, Any]:
    """Return a command of an asynchronous write."""
    return {
        "commandVersion": 1,
        "commandId": f"command-{number}",
        "operation": "update",
        "productId": product_id,
        "author": "k1l2m3n4o5",
        "changes": {"price": number},
    }


def fifo(number: int, group: str = "PROD-001") -> dict[str, str]:
    """Return what a message of a FIFO queue needs."""
    return {"MessageGroupId": group, "MessageDeduplicationId": f"command-{number}"}


@pytest.fixture
def queues(account: PreparedAccount, monkeypatch: pytest.MonkeyPatch) -> Queues:
    """All queues of DEV, empty. The commands do not wait for messages of other servers."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr("product_tools.dead_letters._WAIT_SECONDS", 0)
    return Queues(account)


@pytest.fixture
def publisher(account: PreparedAccount, tmp_path: Path) -> Callable[..., Path]:
    """A function that makes `change_publisher`, which writes its events to a file.

    It returns the file.
    """

    def make(**environment: str) -> Path:
        file = tmp_path / "events.jsonl"
        file.touch()
        client = account.client("lambda")
        client.create_function(
            FunctionName="bbws-change-publisher-dev",
            Runtime="python3.12",
            Role=f"arn:aws:iam::{account.files.account}:role/none",
            Handler="function.handler",
            Code={"ZipFile": zipped_code(RECORDER)},
            Environment={"Variables": {"FILE": str(file), **environment}},
            Publish=True,
        )
        client.create_alias(
            FunctionName="bbws-change-publisher-dev", Name="live", FunctionVersion="1"
        )
        return file

    return make


def show(queue: str, *arguments: str) -> int:
    return show_dead_letters.main([queue, "--environment", "dev", *arguments])


def resend(queue: str, *arguments: str) -> int:
    return resend_dead_letters.main([queue, "--environment", "dev", *arguments])


def started(script: str, queue: str) -> subprocess.Popen[str]:
    """Start a command as a process."""
    return subprocess.Popen(
        [sys.executable, script, queue, "--environment", "dev"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def received(file: Path) -> list[list[dict[str, Any]]]:
    """Return the batches of records that the function got."""
    return [json.loads(line)["Records"] for line in file.read_text().splitlines()]


# --- Show


def test_dead_letter_is_shown_and_stays_visible(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.send(AUDIT_DLQ, event())

    for _ in range(2):
        assert show("audit") == 0
        output = capsys.readouterr().out
        assert "PROD-001" in output
        assert "changed, version 2, 2026-01-31T09:30:00.000000Z: price 95 → 1299" in output
        assert "the log of bbws-audit-logger-dev says why" in output
        assert output.endswith(
            f"{AUDIT_DLQ}: 1 shown, about 1 in the queue.\n"
            f"{AUDIT}, where dead letters come from: about 0 waiting, 0 in work.\n"
        )
    assert len(queues.bodies(AUDIT_DLQ)) == 1


def test_reason_of_event_bus_is_shown(queues: Queues, capsys: pytest.CaptureFixture[str]) -> None:
    attributes = {
        "ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"},
        "ERROR_MESSAGE": {"DataType": "String", "StringValue": "The queue denies it."},
    }
    queues.send(AUDIT_DLQ, event(), MessageAttributes=attributes)

    assert show("audit") == 0
    assert "NO_PERMISSIONS: The queue denies it." in capsys.readouterr().out


def test_command_is_shown_without_loss_of_its_order(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = [json.dumps(command(number)) for number in range(3)]
    for number, body in enumerate(bodies):
        queues.send(CHANGE_DLQ, body, **fifo(number))

    assert show("change") == 0

    output = capsys.readouterr().out
    assert "update by k1l2m3n4o5, command command-0: price" in output
    assert "the log of bbws-product-creator-dev says why" in output
    assert queues.bodies(CHANGE_DLQ) == bodies


def test_parked_record_is_shown_with_its_reason(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    parked = {
        "reason": "price is missing",
        "itemKey": "PRODUCT#PROD-007 METADATA",
        "complete": False,
        "record": {"eventName": "MODIFY"},
    }
    queues.send(PARKED, parked)

    assert show("parked") == 0

    output = capsys.readouterr().out
    assert "│ PROD-007 │ MODIFY of the item PRODUCT#PROD-007 METADATA, too large to keep" in output
    assert "price is missing" in output


def test_stream_failure_is_shown_with_its_place(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.send(FAILURES, failure("arn", "shard", "1", "9"))

    assert show("stream-failures") == 0
    output = capsys.readouterr().out
    assert "2 records, 1 to 9, from 2026-01-31T09:30:00Z" in output
    assert "RetryAttemptsExhausted: the log of bbws-change-publisher-dev says why" in output


@pytest.mark.parametrize("queue", ["audit", "cache", "change", "parked", "stream-failures"])
@pytest.mark.parametrize("body", ["not JSON", "[]", "{}", '{"requestContext": 1, "record": 2}'])
def test_message_of_any_form_is_shown(
    queues: Queues, queue: str, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = QUEUES[queue].name.format("dev")
    queues.send(name, body, **(fifo(1) if name.endswith(".fifo") else {}))

    assert show(queue) == 0
    assert f"{name}: 1 shown, about 1 in the queue.\n" in capsys.readouterr().out


def test_messages_beyond_limit_become_visible_again(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        queues.send(AUDIT_DLQ, event(price=100 + number))

    assert show("audit", "--limit", "3") == 0

    assert "3 shown, about 8 in the queue" in capsys.readouterr().out
    assert len(queues.bodies(AUDIT_DLQ)) == 8


def test_json_has_whole_messages(queues: Queues, capsys: pytest.CaptureFixture[str]) -> None:
    message_id = queues.send(CHANGE_DLQ, command(1), **fifo(1))

    assert show("change", "--json") == 0

    [shown] = json.loads(capsys.readouterr().out)
    assert json.loads(shown["body"]) == command(1)
    assert (shown["messageId"], shown["group"]) == (message_id, "PROD-001")


def test_empty_queue_is_no_error(queues: Queues, capsys: pytest.CaptureFixture[str]) -> None:
    assert queues.bodies(AUDIT_DLQ) == []
    assert show("audit") == 0
    assert capsys.readouterr().out.startswith(f"{AUDIT_DLQ}: 0 shown, about 0 in the queue.\n")


@pytest.mark.parametrize("run", [show, resend])
def test_missing_queue_says_which_switch_is_off(
    account: PreparedAccount,  # noqa: ARG001 (it is empty)
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert run("change") == 1
    assert capsys.readouterr().err == (
        f"There is no queue {CHANGE_DLQ}: enable_async_writes is off in this environment, or the"
        " region or the account is another one.\n"
    )


@pytest.mark.parametrize("operation", ["GetQueueUrl", "GetQueueAttributes", "ReceiveMessage"])
@pytest.mark.parametrize("run", [show, resend])
def test_denied_call_is_one_sentence(
    queues: Queues,  # noqa: ARG001 (they exist)
    stub: StubServer,
    operation: str,
    run: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.deny(operation)
    assert run("audit") == 1
    error = capsys.readouterr().err
    assert error.startswith("The call to AWS failed (An error occurred (AccessDenied")
    assert error.count("\n") == 1


def test_messages_that_cannot_be_given_back_are_an_error(
    queues: Queues, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.send(AUDIT_DLQ, event())
    stub.deny("ChangeMessageVisibilityBatch")
    assert show("audit") == 1
    assert "AccessDenied" in capsys.readouterr().err


@pytest.mark.parametrize("run", [show, resend])
def test_missing_region_is_one_sentence(
    queues: Queues,  # noqa: ARG001 (they exist)
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert run("parked") == 1
    assert "There is no AWS region: set AWS_REGION" in capsys.readouterr().err


def test_limit_below_one_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        show("audit", "--limit", "0")
    assert "0 must be 1 or more" in capsys.readouterr().err


# --- Send again


def test_dead_letters_go_to_their_queue_with_attributes(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}}
    bodies = [event(price=100 + number) for number in range(12)]
    for body in bodies:
        queues.send(AUDIT_DLQ, body, MessageAttributes=attributes)

    assert resend("audit") == 0

    assert queues.bodies(AUDIT_DLQ) == []
    moved = [*queues.read(AUDIT)]
    assert {message["Body"] for message in moved} <= set(bodies)
    assert moved[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    output = capsys.readouterr().out
    assert output.count("was sent: PROD-001, changed, version 2") == 12
    assert output.endswith(f"{AUDIT_DLQ}: 12 of about 12 sent to {AUDIT}.\n")


def test_commands_keep_order_and_group_beyond_ten(queues: Queues) -> None:
    for number in range(13):
        for group in ("PROD-001", "PROD-002"):
            message = command(number, group)
            queues.send(
                CHANGE_DLQ,
                message,
                MessageGroupId=group,
                MessageDeduplicationId=f"{group}-{number}",
            )

    assert resend("change", "--product", "PROD-002") == 0

    moved = queues.read(CHANGE)
    assert [json.loads(each["Body"]) for each in moved] == [
        command(number, "PROD-002") for number in range(10)
    ]
    assert {each["Attributes"]["MessageGroupId"] for each in moved} == {"PROD-002"}
    assert [json.loads(body) for body in queues.bodies(CHANGE_DLQ)] == [
        command(number) for number in range(10)
    ]


def test_command_is_not_dropped_as_repetition_of_first_attempt(queues: Queues) -> None:
    queues.send(CHANGE, command(1), **fifo(1))
    queues.send(CHANGE_DLQ, command(1), **fifo(1))

    assert resend("change") == 0
    assert len(queues.bodies(CHANGE)) == 2


def test_stop_before_deletion_loses_and_doubles_nothing(
    queues: Queues, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        queues.send(CHANGE_DLQ, command(number), **fifo(number))
    stub.deny("DeleteMessage")
    assert resend("change") == 1
    assert "AccessDenied" in capsys.readouterr().err
    assert len(queues.bodies(CHANGE)) == 1
    assert len(queues.bodies(CHANGE_DLQ)) == 3

    stub.allow("DeleteMessage")
    assert resend("change") == 0

    assert [json.loads(body) for body in queues.bodies(CHANGE)] == [command(n) for n in range(3)]
    assert queues.bodies(CHANGE_DLQ) == []


def test_send_that_fails_keeps_rest_in_order(
    queues: Queues, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        queues.send(CHANGE_DLQ, command(number), **fifo(number))
    stub.deny("SendMessage")

    assert resend("change") == 1

    assert f"{CHANGE_DLQ}: 0 of about 3 sent to {CHANGE}." in capsys.readouterr().out
    assert [json.loads(body) for body in queues.bodies(CHANGE_DLQ)] == [
        command(number) for number in range(3)
    ]


def test_temporary_error_is_retried(queues: Queues, stub: StubServer) -> None:
    queues.send(AUDIT_DLQ, event())
    stub.fail_next("SendMessage", *REFUSED, times=2)

    assert resend("audit") == 0
    assert len(queues.bodies(AUDIT)) == 1


def test_dead_letter_that_comes_back_is_sent_once(
    queues: Queues, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = queues.send(AUDIT_DLQ, event()), queues.send(AUDIT_DLQ, event())
    stub.respond("SendMessage", {"MessageId": second, "MD5OfMessageBody": ""})

    assert resend("audit") == 0

    output = capsys.readouterr().out
    assert f"{first} was sent" in output
    assert f"{second} was sent" not in output
    assert len(queues.bodies(AUDIT_DLQ)) == 1


@pytest.mark.parametrize("option", ["", "--discard"])
def test_dry_run_changes_nothing(
    queues: Queues, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        queues.send(CHANGE_DLQ, command(number), **fifo(number))

    assert resend("change", "--dry-run", *filter(None, [option])) == 0

    assert len(queues.bodies(CHANGE_DLQ)) == 3
    assert queues.bodies(CHANGE) == []
    verb = "discarded" if option else f"sent to {CHANGE}"
    output = capsys.readouterr().out
    assert output.endswith(f"3 of about 3 would be {verb}. Nothing was changed.\n")
    assert output.count(" would be ") == 4


def test_discard_prints_whole_message_of_product_and_deletes_it(
    queues: Queues, publisher: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = publisher()
    for product_id in ("PROD-001", "PROD-002"):
        queues.send(PARKED, parked(product_id))

    assert resend("parked", "--discard", "--product", "PROD-002") == 0

    assert [json.loads(body) for body in queues.bodies(PARKED)] == [parked("PROD-001")]
    first = capsys.readouterr().out.splitlines()[0]
    assert json.loads(json.loads(first)["body"]) == parked("PROD-002")
    assert received(file) == []


def test_message_is_chosen_by_its_id(queues: Queues) -> None:
    first, second = (queues.send(AUDIT_DLQ, event(price=number)) for number in (1, 2))

    assert resend("audit", "--message", second, "--discard") == 0
    assert [message["MessageId"] for message in queues.read(AUDIT_DLQ)] == [first]


def test_interrupted_run_gives_rest_back_in_order(queues: Queues, stub: StubServer) -> None:
    for number in range(3):
        queues.send(CHANGE_DLQ, command(number), **fifo(number))
    hold = stub.hold("DeleteMessage")

    with started(resend_dead_letters.__file__, "change") as process:
        assert hold.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors == "Interrupted: start the command again to do the rest.\n"
    assert output == f"{CHANGE_DLQ}: 0 of about 3 sent to {CHANGE}.\n"
    hold.released.set()
    assert resend("change") == 0
    assert [json.loads(body) for body in queues.bodies(CHANGE)] == [command(n) for n in range(3)]


def test_killed_run_loses_nothing(queues: Queues, stub: StubServer) -> None:
    for number in range(3):
        queues.send(CHANGE_DLQ, command(number), **fifo(number))
    hold = stub.hold("DeleteMessage")

    with started(resend_dead_letters.__file__, "change") as process:
        assert hold.arrived.wait(60)
        process.kill()
        process.wait(60)

    assert [json.loads(body) for body in queues.bodies(CHANGE)] == [command(0)]
    assert queues.hidden(CHANGE_DLQ) == 3
    hold.released.set()


def test_interrupted_look_ends_with_its_code(queues: Queues, stub: StubServer) -> None:
    queues.send(AUDIT_DLQ, event())
    hold = stub.hold("ReceiveMessage")

    with started(show_dead_letters.__file__, "audit") as process:
        assert hold.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "Interrupted.\n")
    hold.released.set()


# --- Parked records and stream failures


def parked(product_id: str = "PROD-001", *, complete: bool = True) -> dict[str, Any]:
    """Return a parked record, as change_publisher writes it."""
    record = {
        "eventID": "1",
        "eventName": "INSERT",
        "dynamodb": {"Keys": {"PK": {"S": f"PRODUCT#{product_id}"}, "SK": {"S": "METADATA"}}},
    }
    return {
        "reason": "price is missing",
        "itemKey": f"PRODUCT#{product_id} METADATA",
        "complete": complete,
        "record": record,
    }


def failure(arn: str, shard: str, first: str, last: str) -> dict[str, Any]:
    """Return a message of Lambda about records that it gave up."""
    return {
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:bbws-change-publisher",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 1,
        },
        "version": "1.0",
        "timestamp": "2026-01-31T09:31:00Z",
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first,
            "endSequenceNumber": last,
            "approximateArrivalOfFirstRecord": "2026-01-31T09:30:00Z",
            "approximateArrivalOfLastRecord": "2026-01-31T09:30:01Z",
            "batchSize": 2,
            "streamArn": arn,
        },
    }


class Stream:
    """The stream of a table with some writes.

    Attributes:
        arn: the ARN of the stream.
        shard: its only shard.
        numbers: the sequence numbers of its records.
    """

    def __init__(self, account: PreparedAccount, writes: int) -> None:
        tables, streams = account.client("dynamodb"), account.client("dynamodbstreams")
        created = tables.create_table(
            TableName="products-stream",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self._client = streams
        self.arn = str(created["TableDescription"]["LatestStreamArn"])
        for number in range(writes):
            item = {
                "PK": {"S": f"PRODUCT#PROD-{number:03}"},
                "price": {"N": "95.10"},
                "photo": {"B": b"\x00\xff"},
                "tags": {"L": [{"BS": [b"\x01"]}]},
            }
            tables.put_item(TableName="products-stream", Item=item)
        described = streams.describe_stream(StreamArn=self.arn)["StreamDescription"]
        self.shard = str(described["Shards"][0]["ShardId"])
        iterator = streams.get_shard_iterator(
            StreamArn=self.arn, ShardId=self.shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = streams.get_records(ShardIterator=iterator)["Records"]
        self.numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in records]

    def iterator_at(self, number: str) -> str:
        """Return an iterator that begins at a record."""
        found = self._client.get_shard_iterator(
            StreamArn=self.arn,
            ShardId=self.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=number,
        )
        return str(found["ShardIterator"])


def test_parked_records_go_to_publisher_once(
    queues: Queues, publisher: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = publisher()
    for product_id in ("PROD-001", "PROD-002"):
        queues.send(PARKED, parked(product_id))

    assert resend("parked") == 0

    given = [record for batch in received(file) for record in batch]
    expected = [parked(product_id)["record"] for product_id in ("PROD-001", "PROD-002")]
    assert sorted(given, key=str) == sorted(expected, key=str)
    assert queues.bodies(PARKED) == []
    assert "2 of about 2 sent to bbws-change-publisher-dev." in capsys.readouterr().out


def test_parked_record_without_its_item_stays_with_advice(
    queues: Queues, publisher: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = publisher()
    queues.send(PARKED, parked(complete=False))
    queues.send(PARKED, "not JSON")

    assert resend("parked") == 1

    assert received(file) == []
    assert len(queues.bodies(PARKED)) == 2
    advice = "It does not hold the whole record: mend the item, then --discard the message."
    assert capsys.readouterr().err.count(advice) == 2


def test_stream_failure_gives_its_records_to_publisher(
    account: PreparedAccount, queues: Queues, publisher: Callable[..., Path]
) -> None:
    file = publisher()
    stream = Stream(account, writes=26)
    queues.send(FAILURES, failure(stream.arn, stream.shard, stream.numbers[2], stream.numbers[23]))

    assert resend("stream-failures") == 0

    batches = received(file)
    assert [len(batch) for batch in batches] == [10, 10, 2]
    records = [record for batch in batches for record in batch]
    assert [each["dynamodb"]["SequenceNumber"] for each in records] == stream.numbers[2:24]
    first = records[0]
    assert first["eventSourceARN"] == stream.arn
    assert isinstance(first["dynamodb"]["ApproximateCreationDateTime"], float)
    image = first["dynamodb"]["NewImage"]
    assert (image["photo"], image["tags"]) == ({"B": "AP8="}, {"L": [{"BS": ["AQ=="]}]})
    assert queues.bodies(FAILURES) == []


def test_empty_pages_of_stream_are_passed_over(
    account: PreparedAccount, queues: Queues, publisher: Callable[..., Path], stub: StubServer
) -> None:
    file = publisher()
    stream = Stream(account, writes=2)
    queues.send(FAILURES, failure(stream.arn, stream.shard, *stream.numbers))
    iterator = stream.iterator_at(stream.numbers[0])
    empty = {"Records": [], "NextShardIterator": iterator}
    stub.respond_next("GetRecords", empty, empty)

    assert resend("stream-failures") == 0
    assert [len(batch) for batch in received(file)] == [2]


def test_stream_without_last_record_keeps_the_message(
    account: PreparedAccount, queues: Queues, publisher: Callable[..., Path]
) -> None:
    publisher()
    stream = Stream(account, writes=2)
    later = str(int(stream.numbers[1]) + 1).zfill(len(stream.numbers[1]))
    queues.send(FAILURES, failure(stream.arn, stream.shard, stream.numbers[0], later))

    assert resend("stream-failures") == 1
    assert len(queues.bodies(FAILURES)) == 1


def test_dry_run_of_stream_failure_reads_and_gives_nothing(
    account: PreparedAccount, queues: Queues, publisher: Callable[..., Path]
) -> None:
    file = publisher()
    stream = Stream(account, writes=2)
    queues.send(FAILURES, failure(stream.arn, stream.shard, *stream.numbers))

    assert resend("stream-failures", "--dry-run") == 0
    assert received(file) == []
    assert len(queues.bodies(FAILURES)) == 1


@pytest.mark.parametrize("case", ["stream", "start"])
def test_records_that_stream_lost_stay_with_reason(
    account: PreparedAccount,
    queues: Queues,
    publisher: Callable[..., Path],
    case: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publisher()
    stream = Stream(account, writes=1)
    arn = f"{stream.arn}9" if case == "stream" else stream.arn
    first = "0" * 29 + "7" if case == "start" else stream.numbers[0]
    queues.send(FAILURES, failure(arn, stream.shard, first, stream.numbers[0]))

    assert resend("stream-failures") == 1

    error = capsys.readouterr().err
    assert f"stays. The stream no longer keeps the records {int(first)} to" in error
    assert len(queues.bodies(FAILURES)) == 1


def test_stream_failure_without_place_is_error(
    queues: Queues, publisher: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    publisher()
    queues.send(FAILURES, {"DDBStreamBatchInfo": {"shardId": "1"}})

    assert resend("stream-failures") == 1
    assert "The message does not name the records in the stream" in capsys.readouterr().err


def test_stream_that_denies_reads_is_error(
    account: PreparedAccount,
    queues: Queues,
    publisher: Callable[..., Path],
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publisher()
    stream = Stream(account, writes=2)
    queues.send(FAILURES, failure(stream.arn, stream.shard, *stream.numbers))
    stub.deny("GetRecords")

    assert resend("stream-failures") == 1
    assert "AccessDenied" in capsys.readouterr().err
    assert len(queues.bodies(FAILURES)) == 1


def test_publisher_that_fails_keeps_messages(
    queues: Queues, publisher: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    publisher(FAILS="1")
    queues.send(PARKED, parked())

    assert resend("parked") == 1

    error = capsys.readouterr().err
    assert error.startswith("bbws-change-publisher-dev failed (")
    assert error.endswith(": the bus is not there): see its log, and try again.\n")
    assert len(queues.bodies(PARKED)) == 1


def test_missing_publisher_says_which_switch_is_off(
    queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.send(PARKED, parked())

    assert resend("parked") == 1
    assert "enable_change_events is off in this environment" in capsys.readouterr().err
    assert len(queues.bodies(PARKED)) == 1


def test_publisher_that_denies_calls_is_error(
    queues: Queues, publisher: Callable[..., Path], stub: StubServer
) -> None:
    publisher()
    queues.send(PARKED, parked())
    stub.deny("POST */invocations*")

    assert resend("parked") == 1
    assert len(queues.bodies(PARKED)) == 1


def test_error_without_message_is_named(
    queues: Queues,
    publisher: Callable[..., Path],
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publisher()
    queues.send(PARKED, parked())
    stub.respond_headers("POST */invocations*", {"X-Amz-Function-Error": "Unhandled"})

    assert resend("parked") == 1
    assert "failed (without a message)" in capsys.readouterr().err
