"""Every command of every runbook, in the order of the page, in a fresh clone on a local AWS.

The clone's own `make deploy-local` and `make credentials-local` prepare each page, as in the
rehearsal. A stand-in for `gh` responds for GitHub.

The pages are in three classes, which workers can run at the same time. Each has a clone.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from local.engine import CREDENTIALS, Engine
from local.stack import LocalStack
from local.table import create_table
from product_tools.environment_files import values
from tests.support.audit_trail import change_event, product_shown, text_of
from tests.support.runbooks import PAGES, Clone, blocks_of_features, shell_blocks
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)  # seconds; a page deploys several times

# These take about half of the time of the pages with all features.
DAILY_PAGES = ("deployment", "operations")
PAGES_THAT_DEPLOY = ("dev_setup", "rehearsal")
OTHER_PAGES = [page for page in PAGES if page not in {*DAILY_PAGES, *PAGES_THAT_DEPLOY}]
DEPLOY_ALL = "make deploy-local FEATURES=all"
# These pages come in any order, and one of them deletes a product.
SET_UP = [
    'eval "$(make credentials-local)"',
    '.venv/bin/python scripts/seed_products.py --base-url "$BASE_URL" --only-missing',
    ".venv/bin/python scripts/catalogue.py restore PROD-00{1..5}",
    "FIRST_REGION=$AWS_ENDPOINT_URL",
]
# A shift that a page can roll back; one changed function is enough.
SHIFT = [
    "aws lambda update-function-configuration --function-name bbws-get-product-dev --timeout 9",
    "aws lambda publish-version --function-name bbws-get-product-dev",
    ".venv/bin/python scripts/shift_traffic.py --environment dev",
]
LIKE_FRESH_CLONE = "rm -rf .venv dist"
STATE = "--bucket bbws-terraform-state-dev --key 2_bbws_product_lambda/terraform.tfstate.tflock"
RUNNING_RELEASE = "\n".join(
    block.commands
    for block in shell_blocks(PAGES["operations"])
    if block.heading == "The running release"
)
DEAD_LETTER = text_of(
    change_event(product_shown(), product_shown(price=1, version=2), changeId="dead-letter")
)
# What happens to the reader before a block that contains this text: an accident, or a value to
# look up.
EVENTS = {
    # The page names the address and the key of `make run`.
    '--show-error "$BASE_URL/products?limit=1"': 'eval "$(make credentials-local)"',
    # The pages say so in words, with a link.
    "export TF_VAR_table_name=": RUNNING_RELEASE,
    "restore-table-from-backup": """
        BACKUP_ARN=$(aws dynamodb create-backup --table-name products-dev \\
            --backup-name last --query BackupDetails.BackupArn --output text)
        aws dynamodb delete-table --table-name products-dev-restored
        aws dynamodb wait table-not-exists --table-name products-dev-restored
    """,
    "-chdir=terraform/table init": """
        unset TF_VAR_table_name TF_VAR_former_table_name
        make deploy-local FEATURES=all
        aws dynamodb delete-table --table-name products-dev
        aws dynamodb wait table-not-exists --table-name products-dev
    """,
    'delete-function --function-name "$FUNCTION"': """
        FUNCTION=bbws-get-product-dev
        aws lambda update-function-configuration --function-name "$FUNCTION" --memory-size 700
        FAILED_VERSION=$(aws lambda publish-version --function-name "$FUNCTION" \\
            --query Version --output text)
    """,
    '--api-key "$KEY_ID"': (
        "KEY_ID=$(aws apigateway create-api-key --name leaked --query id --output text)"
    ),
    "force-unlock": f"""
        LOCK_ID=f2ab6d2c-5a5c-4a4f-8a31-6f4a0d2f9d11
        echo '{{"ID": "'$LOCK_ID'", "Operation": "OperationTypeApply", "Path": "state"}}' >lock.json
        aws s3api put-object --body lock.json {STATE}
    """,
    # The features are those of the local DEV; PROD's file leaves them off.
    "describe-table --table-name products-prod": """
        export AWS_ENDPOINT_URL=$SECOND_REGION
        unset TF_VAR_enable_change_events TF_VAR_enable_audit_log TF_VAR_enable_async_writes
        unset TF_VAR_enable_cloudfront_cache TF_VAR_enable_opensearch
    """,
    "-chdir=terraform/region apply -var-file=../environments/prod": (
        "export AWS_ENDPOINT_URL=$SECOND_REGION"
    ),
    "secret set": "export AWS_ENDPOINT_URL=$FIRST_REGION",
    "QUIET_SECONDS": "QUIET_SECONDS=0",
    "show_dead_letters.py audit": f"""
        # Without the option, version 1 of the command line takes SQS's own endpoint.
        AWS_SQS="aws --endpoint-url $AWS_ENDPOINT_URL sqs"
        DEAD_LETTERS=$($AWS_SQS get-queue-url --queue-name bbws-product-audit-dev-dlq \\
            --query QueueUrl --output text)
        $AWS_SQS send-message --queue-url "$DEAD_LETTERS" --message-body '{DEAD_LETTER}'
    """,
}


# What a page says that its commands print.
PROMISES = {
    "cicd_guide": ["has been successfully unlocked"],
    "deployment": [": rolled back from version ", " is complete: all requests go to the new"],
    "disaster_recovery": [" and its indexes are active.", "No difference."],
    "first_deployment": ["(404) when calling the HeadObject operation: Not Found", '"status":400'],
    "operations": [
        "sent to bbws-product-audit-dev.",
        ": all events of the period were replayed.",
        "Changes of PROD-001 from ",
        '"type":"tag:kimmyai.io,2026:read-only"',
        ": rolled back from version ",
    ],
    "rehearsal": [": rolled back from version ", "Nothing was shifted because these alarms are"],
}


@pytest.fixture(scope="module")
def clone(stacks_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone whose local stack has all features, and has already shifted traffic once."""
    with clone_after([DEPLOY_ALL, *SET_UP, *SHIFT], stacks_folder, tmp_path_factory) as clone:
        yield clone


@pytest.fixture
def new_clone(stacks_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone without a local stack."""
    with clone_after([], stacks_folder, tmp_path_factory) as clone:
        yield clone


@contextmanager
def clone_after(
    steps: list[str], stacks_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clone]:
    """Make a clone, and run commands in it."""
    folder = tmp_path_factory.mktemp("runbooks")
    clone = Clone(folder / "clone", folder / "programs")
    deployment = clone.folder / ".local" / "deployment"
    shutil.copytree(stacks_folder / "dev" / "packages", deployment / "packages")
    try:
        prepared = clone.run(steps)
        assert prepared.returncode == 0, prepared.stdout
        yield clone
    finally:
        LocalStack(deployment).destroy()


@pytest.fixture
def second_region(tmp_path: Path) -> Iterator[str]:
    """The endpoint URL of PROD's account in eu-west-1, with a table and the bucket of the state.

    Each page has its own, since two pages prepare it in different ways.
    """
    account = values("prod")["aws_account_id"]
    with Engine(tmp_path, enforce_iam=True, account_id=account) as engine:
        create_table(engine.endpoint_url, "products-prod")
        boto3.client(
            "s3",
            region_name="eu-west-1",
            endpoint_url=engine.endpoint_url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        ).create_bucket(
            Bucket="bbws-terraform-state-prod-recovery",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
        yield engine.endpoint_url


class TestPagesThatDeploy:
    """The pages that begin with a deployment, without any feature."""

    @pytest.mark.parametrize("page", PAGES_THAT_DEPLOY)
    def test_commands_of_runbook_work_in_order_of_page(
        self, new_clone: Clone, second_region: str, page: str
    ) -> None:
        run_page(new_clone, second_region, page, [])


class TestDailyPages:
    """The pages of daily work, and the README."""

    @pytest.mark.parametrize("page", DAILY_PAGES)
    def test_commands_of_runbook_work_in_order_of_page(
        self, clone: Clone, second_region: str, page: str
    ) -> None:
        run_page(clone, second_region, page, [DEPLOY_ALL, *SET_UP])

    def test_features_of_readme_are_deployed_and_looked_at(self, clone: Clone) -> None:
        run = clone.run([DEPLOY_ALL, *SET_UP, *blocks_of_features()])
        assert run.returncode == 0, run.stdout[-20_000:]
        assert '"requestId"' in run.stdout  # a response 202
        [history] = re.findall(r".*catalogue\.py history .*", "\n".join(blocks_of_features()))

        def shown() -> str | None:
            output = clone.run(['eval "$(make credentials-local)"', history]).stdout
            return output if "→ 99.5" in output else None

        assert "price " in eventually(shown, "the change in the history", seconds=120)


class TestOtherPages:
    """All other pages."""

    @pytest.mark.parametrize("page", OTHER_PAGES)
    def test_commands_of_runbook_work_in_order_of_page(
        self, clone: Clone, second_region: str, page: str
    ) -> None:
        run_page(clone, second_region, page, [DEPLOY_ALL, *SET_UP])


@pytest.mark.parametrize("text", EVENTS)
def test_event_belongs_to_one_block(text: str) -> None:
    run = [block for page in PAGES.values() for block in shell_blocks(page)]

    assert [text in block.commands for block in run if not block.skip_reason].count(True) == 1


def run_page(clone: Clone, second_region: str, page: str, set_up: list[str]) -> None:
    """Run the commands of a page, and compare what it promises with their output."""
    for name, content in files_in(PAGES[page]).items():
        (clone.folder / name).write_text(content)

    steps = [*set_up, LIKE_FRESH_CLONE, *commands_of(page)]
    run = clone.run(steps, {"SECOND_REGION": second_region})

    assert run.returncode == 0, run.stdout[-20_000:]
    for promise in PROMISES.get(page, []):
        assert promise in run.stdout


def files_in(text: str) -> dict[str, str]:
    """Return the JSON files that a page shows, by the name before each of them."""
    named = r"\bfile ([\w-]+\.json)\b[^`]*```json\n(.*?)^```"
    return dict(re.findall(named, text, re.DOTALL | re.MULTILINE))


def commands_of(page: str) -> Iterator[str]:
    """Yield the commands of a page, and before some of them what has happened to the reader."""
    for block in shell_blocks(PAGES[page]):
        if not block.skip_reason:
            yield f"echo '== {block.heading.replace(chr(39), '')}'"
            yield from (event for text, event in EVENTS.items() if text in block.commands)
            yield block.commands
