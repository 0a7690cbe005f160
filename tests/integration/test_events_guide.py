"""Runs the programs of docs/events.md: a consumer's rule, queue and function on the engine."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.engine import REGION
from product_lambda.models.product import Product
from product_lambda.models.search_document import document_of
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.event_bus import EventBus, entry_for
from product_lambda.repositories.search_index import SearchIndex
from product_lambda.repositories.stream_records import change_in
from product_tools.repository import REPOSITORY
from tests.support.audit_trail import product_shown
from tests.support.prepared_account import PreparedAccount
from tests.support.products import product, second
from tests.support.search_engine import search_engine
from tests.support.stream_records import checked_detail, image, record
from tests.support.waiting import eventually

GUIDE = (REPOSITORY / "docs/events.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
CONSUMER, SUBSCRIBE = PROGRAMS
BUS = "bbws-product-events-dev"
FUNCTION = "prices-consumer"
# Lambda's runtime has them, the engine does not.
BOTO3 = ("boto3", "s3transfer")

BEFORE = product(price=Decimal("19.99"))
AFTER = BEFORE._replace(price=Decimal("20.5"), version=2, updated_at=second(1))
RENAMED = AFTER._replace(name="Pro", version=3, updated_at=second(2))
DELETED = RENAMED._replace(active=False, version=4, updated_at=second(3))


def change(old: Product | None, new: Product | None) -> dict[str, Any]:
    """Return the record of a change."""
    return record(None if old is None else image(old), None if new is None else image(new))


class Consumer:
    """The consumer of the page, in an account with the bus."""

    def __init__(self, account: PreparedAccount, folder: Path) -> None:
        self._account = account
        self._folder = folder
        (folder / "subscribe.py").write_text(SUBSCRIBE)
        account.client("events").create_event_bus(Name=BUS)
        account.client("dynamodb").create_table(
            TableName="prices",
            KeySchema=[{"AttributeName": "productId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "productId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        account.client("lambda").create_function(
            FunctionName=FUNCTION,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{account.files.account}:role/{FUNCTION}",
            Handler="consumer.handler",
            Code={"ZipFile": zipped_consumer()},
            Environment={
                "Variables": {
                    "AWS_ACCESS_KEY_ID": account.files.account,
                    "AWS_SECRET_ACCESS_KEY": "any",
                    "PRICES_TABLE": "prices",
                }
            },
        )

    def subscribe(self) -> str:
        """Run the second program, and return its output."""
        return subprocess.run(
            [sys.executable, "subscribe.py", "dev", FUNCTION],
            cwd=self._folder,
            env={**os.environ, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "any"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def publish(self, *records: dict[str, Any]) -> None:
        """Publish the changes of records, as the service does."""
        changes = [change for each in records if (change := change_in(each))]
        bus = EventBus(BUS, "eu-west-1", os.environ["AWS_ENDPOINT_URL"])
        bus.publish([entry_for(change) for change in changes], Deadline(60))

    def price(self, product_id: str) -> dict[str, Any]:
        """Return the item of a product in the consumer's table, once there is one."""
        client = self._account.client("dynamodb")
        key = {"productId": {"S": product_id}}
        return eventually(
            lambda: client.get_item(TableName="prices", Key=key).get("Item"), product_id
        )

    def dead_letters(self) -> int:
        """Return how many messages were not processed."""
        queue = self._account.client("sqs")
        url = queue.get_queue_url(QueueName="prices-dev-dlq")["QueueUrl"]
        counted = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(counted["ApproximateNumberOfMessages"])


def zipped_consumer() -> bytes:
    """Return the zip of the first program, with the packages that Lambda's runtime has."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("consumer.py", CONSUMER)
        for package in BOTO3:
            folder = Path(sys.modules.get(package, __import__(package)).__path__[0])
            for file in folder.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    opened.write(file, file.relative_to(folder.parent))
    return archive.getvalue()


@pytest.fixture
def consumer(account: PreparedAccount, tmp_path: Path) -> Consumer:
    return Consumer(account, tmp_path)


def test_consumer_keeps_newest_price_of_offers(consumer: Consumer) -> None:
    assert consumer.subscribe() == f"{FUNCTION} receives the changes of {BUS}.\n"

    created, changed, deleted = (
        change(None, BEFORE),
        change(BEFORE, AFTER),
        change(RENAMED, DELETED),
    )
    other = AFTER._replace(product_id="PROD-002")
    # Newer before older, and twice.
    consumer.publish(deleted, changed, created, changed, deleted)
    consumer.publish(change(None, other))

    assert consumer.price("PROD-002")["price"] == {"N": "20.5"}
    assert consumer.price("PROD-001")["position"] == {"S": f"{second(3)} 000000000000004"}
    assert consumer.price("PROD-001")["price"] == {"NULL": True}
    assert consumer.dead_letters() == 0


def test_second_subscription_changes_nothing(consumer: Consumer) -> None:
    first = consumer.subscribe()
    assert consumer.subscribe() == first

    consumer.publish(change(AFTER, RENAMED), change(None, BEFORE))

    assert consumer.price("PROD-001")["position"] == {"S": f"{BEFORE.updated_at} 000000000000001"}


def test_example_event_fits_schema() -> None:
    [example] = re.findall(r"^```json\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert checked_detail(example)["changedFields"] == ["price"]


def test_page_describes_all_members() -> None:
    described = set(re.findall(r"`(\w+)`", GUIDE.split("| member | meaning |")[1]))
    assert json.loads(GUIDE.split("```json\n")[1].split("```")[0]).keys() <= described


def test_example_of_a_search_finds_the_cheapest_first() -> None:
    products = [
        product_shown(productId="PROD-001", price=Decimal("99.99"), description="A site, a shop."),
        product_shown(productId="PROD-002", price=Decimal("9.5")),
        product_shown(productId="PROD-003", price=Decimal("100.01")),
        product_shown(productId="PROD-004", price=Decimal(1), description="A name."),
        product_shown(productId="PROD-005", price=Decimal(1), currency="EUR"),
        product_shown(productId="PROD-006", price=Decimal(1), active=False),
    ]
    [command] = re.findall(r"^```sh\n(curl [^`]*_search[^`]*)```", GUIDE, re.MULTILINE)
    with search_engine() as server:
        server.create()
        index = SearchIndex(server.url, REGION)
        index.put([document_of(each, each["updatedAt"], 1) for each in products], Deadline(60))
        server.hits("products")  # refreshes

        found = subprocess.run(
            ["/bin/bash", "-c", command],
            env={"PATH": os.environ["PATH"], "OPENSEARCH_URL": server.url, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            check=True,
        ).stdout

    hits = json.loads(found)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["PROD-002", "PROD-001"]
