"""The runbooks: complete, and true to Terraform, the workflows, the programs and the log lines.

That links lead somewhere and shell blocks parse is held for all documents by `test_docs.py`; those
blocks that can run against the local AWS are run by the end-to-end tests.
"""

import ast
import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from product_tools.functions import ENVIRONMENTS, function_names
from tests.support.command_lines import check_bootstrap, check_make, check_script

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
RUNBOOKS = {
    path.stem.removeprefix("product_lambda_"): path.read_text() for path in FOLDER.iterdir()
}
OPERATIONS, GUIDE = RUNBOOKS["operations"], RUNBOOKS["cicd_guide"]
DOCUMENTS = {**RUNBOOKS, "releasing": (ROOT / "docs" / "releasing.md").read_text()}
CASES = [pytest.param(text, id=name) for name, text in sorted(RUNBOOKS.items())]
TERRAFORM = {path.stem: path.read_text() for path in (ROOT / "terraform").glob("*.tf")}
SAMPLES = {
    "ENVIRONMENT": "dev",
    "BASE_URL": "https://api.example/v1.0",
    "API_KEY": "a-key",
    "BACKUP_ARN": "arn:aws:dynamodb:eu-west-1:536580886816:table/products-dev/backup/1",
    "version": "1.2.0",
}


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_lines() -> Iterator[Any]:
    """Each command of each shell block, as words, with sample values for its variables."""
    for name, text in sorted(DOCUMENTS.items()):
        for block in blocks(text, "sh"):
            text_given = block.replace("\\\n", " ")
            for variable, value in SAMPLES.items():
                text_given = re.sub(rf"\$\{{?{variable}\b\}}?", value, text_given)
            text_given = re.sub(r"\$\(date [^)]*\)", "2026-01-31", text_given)
            text_given = re.sub(r"^\w+=\$\((.*)\)$", r"\1", text_given, flags=re.MULTILINE)
            for line in text_given.splitlines():
                for command in re.split(r" && | \| ", line):
                    words = shlex.split(command)
                    while words and re.match(r"^[A-Z_a-z]+=", words[0]):
                        words = words[1:]
                    if words:
                        yield pytest.param(words, id=f"{name}: {' '.join(words)[:60]}")


def commands_of(*programs: str) -> list[Any]:
    return [case for case in command_lines() if case.values[0][0] in programs]


def test_there_are_five_runbooks() -> None:
    assert sorted(RUNBOOKS) == [
        "cicd_guide",
        "deployment",
        "dev_setup",
        "disaster_recovery",
        "operations",
    ]


@pytest.mark.parametrize("text", CASES)
def test_a_runbook_has_every_part(text: str) -> None:
    parts = ["Purpose", "Prerequisites", "Steps", "Verification", "Troubleshooting", "Whom to tell"]

    assert [part for part in headings(text, 2) if part in parts] == parts
    assert re.search(r"^#{0,3} ?1\. ", text, re.MULTILINE)


# --- Operations ---


def alarm_names() -> set[str]:
    """The alarms that Terraform creates, with {env} for the environment."""
    text = TERRAFORM["cloudwatch"]
    keys = re.findall(r'^ +"([^"\n]*\$\{[^"\n]+)" += \{', text, re.MULTILINE)
    named = re.findall(r'alarm_name += "([^"]+)"', text)
    names = set()
    for template in (*keys, *named):
        of_environment = template.replace("${local.api_name}", "bbws-product-api-{env}").replace(
            "${var.environment}", "{env}"
        )
        functions = function_names("{env}") if "${name}" in template else [""]
        names |= {of_environment.replace("${name}", function) for function in functions}
    assert not any("$" in name for name in names)
    return names


def test_every_alarm_has_a_section_of_its_name_and_every_section_an_alarm() -> None:
    sections = {name.strip("`") for name in headings(OPERATIONS, 3) if name.startswith("`bbws-")}

    assert sections == alarm_names()
    assert len(sections) == 15


@pytest.mark.parametrize("status", [400, 403, 404, 412, 429, 500, 503])
def test_every_status_that_callers_report_has_a_section(status: int) -> None:
    assert any(str(status) in heading for heading in headings(OPERATIONS, 3))


def log_fields() -> set[str]:
    """The fields of the functions' log lines: what the code gives, and what formatting adds."""
    entry = ast.parse((ROOT / "src/product_lambda/handlers/entry.py").read_text())
    extras = [
        keyword.value
        for node in ast.walk(entry)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "extra"
    ]
    given = {
        key.value
        for extra in extras
        if isinstance(extra, ast.Dict)
        for key in extra.keys
        if isinstance(key, ast.Constant)
    }
    assert "duration_ms" in given
    return {str(name) for name in given} | {"timestamp", "level", "message", "stackTrace"}


def access_fields() -> set[str]:
    return set(re.findall(r'^ +(\w+) += "\$context', TERRAFORM["cloudwatch"], re.MULTILINE))


COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
OPERATORS = {"by", "as", "and", "or", "in", "like", "asc", "desc"}
CALLS = {"count", "pct", "max", "bin", "ispresent"}
WORDS = COMMANDS | OPERATORS | CALLS


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param(query, kind, id=query.splitlines()[-2][:50])
        for kind in ("functions", "access")
        for query in blocks(OPERATIONS, f"logs-{kind}")
    ],
)
def test_a_query_uses_fields_that_the_log_lines_have(query: str, kind: str) -> None:
    fields = log_fields() if kind == "functions" else access_fields()
    stripped = re.sub(r'"[^"]*"|/[^/\n]+/', " ", query)
    own = set(re.findall(r" as (\w+)", stripped))
    used = set(re.findall(r"(?<![\w@])[A-Za-z]\w*", stripped)) - WORDS - own

    assert used
    assert used - fields == set()
    assert set(re.findall(r"@\w+", stripped)) <= {"@timestamp", "@message"}


# --- Commands ---


@pytest.mark.parametrize("words", commands_of("aws"))
def test_an_aws_command_is_one_that_aws_knows(words: list[str]) -> None:
    _, service, operation, *rest = words
    session = botocore.session.get_session()
    try:
        model = session.get_service_model({"s3api": "s3"}.get(service, service))
    except UnknownServiceError:
        pytest.fail(f"AWS has no service {service}")
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        names = {xform_name(name, "-"): name for name in waiters.waiter_names}
        assert rest[0] in names
        called = waiters.get_waiter(names[rest[0]]).operation
    else:
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in operations
        called = operations[operation]
    shape = model.operation_model(called).input_shape
    assert shape is not None
    members = {xform_name(name, "-"): member for name, member in shape.members.items()}
    booleans = {f"no-{name}" for name, member in members.items() if member.type_name == "boolean"}
    given = {word.removeprefix("--") for word in rest if word.startswith("--")}
    assert given <= {*members, *booleans, "query", "output", "region"}
    required = {xform_name(name, "-") for name in shape.required_members}
    assert required <= given


@pytest.mark.parametrize("words", commands_of(".venv/bin/python"))
def test_a_program_takes_the_arguments_that_a_runbook_gives(words: list[str]) -> None:
    check_script(words[1], words[2:])


@pytest.mark.parametrize("words", commands_of("make", "scripts/bootstrap.sh"))
def test_a_target_and_an_environment_that_a_runbook_names_exist(words: list[str]) -> None:
    check = check_make if words[0] == "make" else check_bootstrap
    check(words[1:])


def test_the_other_commands_are_programs_that_a_prerequisite_names() -> None:
    checked = {"aws", ".venv/bin/python", "make", "scripts/bootstrap.sh"}
    programs = {case.values[0][0] for case in command_lines()} - checked

    ours = {name for name in programs if name.startswith("scripts/")}
    assert all((ROOT / name).exists() for name in ours)
    assert programs - ours <= {"curl", "diff", "echo", "export", "gh", "git", "terraform"}


@pytest.mark.parametrize("text", CASES)
def test_terraform_has_every_variable_that_a_runbook_sets(text: str) -> None:
    variables = set(re.findall(r'^variable "(\w+)"', TERRAFORM["variables"], re.MULTILINE))
    named = re.findall(r"TF_VAR_(\w+)|-var=(\w+)=", text)

    assert set(chain.from_iterable(named)) - {""} <= variables


# --- Environments, rights ---


def test_the_table_of_environments_is_terraforms() -> None:
    for environment in ENVIRONMENTS:
        values = (ROOT / "terraform" / "environments" / f"{environment}.tfvars").read_text()
        account, region = (
            re.findall(rf'^{name} += "(.*)"$', values, re.MULTILINE)[0]
            for name in ("aws_account_id", "aws_region")
        )
        assert f"| {environment} | {account} | {region} |" in RUNBOOKS["deployment"]


def test_the_guide_names_every_workflow_and_every_github_environment() -> None:
    workflows = {path.name for path in (ROOT / ".github" / "workflows").iterdir()}
    assert set(re.findall(r"^\| `([\w-]+\.yml)`", GUIDE, re.MULTILINE)) == workflows

    wanted = {f"{name}-plan" for name in ENVIRONMENTS}
    for name in ENVIRONMENTS:
        caller = ROOT / ".github" / "workflows" / f"deploy-{name}.yml"
        wanted.add(yaml.safe_load(caller.read_text())["jobs"]["deploy"]["with"]["approval"])
    assert set(re.findall(r"^\| `([\w-]+)` \| (?:plans|deploys)", GUIDE, re.MULTILINE)) == wanted


POLICIES = [json.loads(block) for block in blocks(GUIDE, "json") if "Statement" in block]
TRUSTS = [policy for policy in POLICIES if "Principal" in policy["Statement"][0]]
RIGHTS = [policy for policy in POLICIES if policy not in TRUSTS]


def test_the_guide_has_the_trust_and_the_rights_of_both_roles_in_full() -> None:
    assert (len(TRUSTS), len(RIGHTS)) == (2, 2)
    for block in blocks(GUIDE, "json"):
        json.loads(block)


@pytest.mark.parametrize("trust", TRUSTS)
def test_a_role_trusts_one_environment_of_this_repository_alone(trust: dict[str, Any]) -> None:
    [statement] = trust["Statement"]
    conditions = statement["Condition"]

    assert list(conditions) == ["StringEquals"]  # so no part of the name is a wildcard
    name = "token.actions.githubusercontent.com"
    assert conditions["StringEquals"][f"{name}:aud"] == "sts.amazonaws.com"
    subject = conditions["StringEquals"][f"{name}:sub"]
    assert re.fullmatch(r"repo:OWNER/2_bbws_product_lambda:environment:dev(-plan)?", subject)


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("rights", RIGHTS)
def test_rights_name_their_actions_and_fit_into_a_role(rights: dict[str, Any]) -> None:
    for statement in rights["Statement"]:
        for action in as_list(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action)
    # IAM User Guide, "IAM and AWS STS quotas": inline policies of a role.
    assert len(json.dumps(rights, separators=(",", ":"))) <= 10_240


def test_the_role_that_plans_may_change_nothing_but_stored_plans() -> None:
    [plan] = [policy for policy in RIGHTS if "StorePlans" in json.dumps(policy)]
    for statement in plan["Statement"]:
        for action in as_list(statement["Action"]):
            reads = re.match(r"\w+:(Get|List|Describe|GET)", action)
            assert reads or statement["Sid"] == "StorePlans"


def test_the_role_that_deploys_reaches_what_terraform_names_and_no_other_service() -> None:
    [deploy] = [policy for policy in RIGHTS if "HandRolesToLambda" in json.dumps(policy)]
    resources = [
        resource
        for statement in deploy["Statement"]
        for resource in as_list(statement["Resource"])
        if resource != "*"
    ]

    def reaches(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, resource) for resource in resources)

    place = "eu-west-1:536580886816"
    functions = function_names("dev")
    owned = [
        *(f"arn:aws:lambda:{place}:function:{name}" for name in functions),
        *(f"arn:aws:lambda:{place}:function:{name}:live" for name in functions),
        *(f"arn:aws:iam::536580886816:role/{name}-eu-west-1" for name in functions),
        *(f"arn:aws:logs:{place}:log-group:/aws/lambda/{name}" for name in functions),
        f"arn:aws:logs:{place}:log-group:/aws/apigateway/bbws-product-api-dev",
        *(
            f"arn:aws:cloudwatch:{place}:alarm:{name.replace('{env}', 'dev')}"
            for name in alarm_names()
        ),
        "arn:aws:cloudwatch::536580886816:dashboard/bbws-product-dev",
        f"arn:aws:sns:{place}:bbws-product-alerts-dev",
        f"arn:aws:dynamodb:{place}:table/products-dev",
    ]
    assert [name for name in owned if not reaches(name)] == []
    others = [
        f"arn:aws:lambda:{place}:function:bbws-list-orders-dev",
        f"arn:aws:lambda:{place}:function:bbws-list-products-prod",
        "arn:aws:iam::536580886816:role/bbws-list-orders-dev-eu-west-1",
        f"arn:aws:cloudwatch:{place}:alarm:bbws-list-orders-dev-errors",
    ]
    assert [name for name in others if reaches(name)] == []
