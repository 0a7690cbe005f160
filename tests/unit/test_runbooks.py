"""Checks the runbooks against Terraform, the workflows, the commands and their messages, the logs.

`test_docs.py` checks the links and shell blocks of all documents; `tests/e2e/test_runbooks.py` runs
the shell blocks of the runbooks.
"""

import ast
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
from tests.support.runbooks import PAGES, shell_blocks

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = PAGES
OPERATIONS, GUIDE = RUNBOOKS["operations"], RUNBOOKS["cicd_guide"]
GUIDES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("admin", "releasing")}
DOCUMENTS = {**RUNBOOKS, **GUIDES}
CASES = [pytest.param(text, id=name) for name, text in sorted(RUNBOOKS.items())]
TERRAFORM = {path.stem: path.read_text() for path in (ROOT / "terraform").glob("*.tf")}
SAMPLES = {
    "ENVIRONMENT": "dev",
    "BASE_URL": "https://api.example/v1.0",
    "DEV_URL": "https://dev.example/v1.0",
    "PROD_URL": "https://prod.example/v1.0",
    "API_KEY": "a-key",
    "FUNCTION": "bbws-get-product-dev",
    "FAILED_VERSION": "42",
    "RELEASE": "v1.2.0",
    "ALERT_EMAIL": "alerts@example.com",
    "BACKUP_ARN": "arn:aws:dynamodb:eu-west-1:536580886816:table/products-dev/backup/1",
    "version": "1.2.0",
}


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_lines() -> Iterator[Any]:
    """Yield each command of each shell block, as words, with sample values for its variables."""
    for name, text in sorted(DOCUMENTS.items()):
        for block in blocks(text, "sh"):
            commands = block.replace("\\\n", " ")
            for variable, value in SAMPLES.items():
                commands = re.sub(rf"\$\{{?{variable}\b\}}?", value, commands)
            commands = re.sub(r"\$\(date [^)]*\)", "2026-01-31", commands)
            commands = re.sub(r"^\w+=\$\((.*)\)$", r"\1", commands, flags=re.MULTILINE)
            commands = re.sub(r'^eval "\$\((.*)\)"$', r"\1", commands, flags=re.MULTILINE)
            for line in commands.splitlines():
                for command in re.split(r" && | \|\|? ", line):
                    words = shlex.split(command)
                    while words and re.match(r"^[A-Z_a-z]+=", words[0]):
                        words = words[1:]
                    if words:
                        yield pytest.param(words, id=f"{name}: {' '.join(words)[:60]}")


def commands_of(*programs: str) -> list[Any]:
    return [case for case in command_lines() if case.values[0][0] in programs]


def test_there_are_seven_runbooks() -> None:
    assert sorted(RUNBOOKS) == [
        "cicd_guide",
        "deployment",
        "dev_setup",
        "disaster_recovery",
        "first_deployment",
        "operations",
        "rehearsal",
    ]


@pytest.mark.parametrize("text", CASES)
def test_runbook_has_every_part(text: str) -> None:
    parts = ["Purpose", "Prerequisites", "Steps", "Verification", "Troubleshooting", "Whom to tell"]

    assert [part for part in headings(text, 2) if part in parts] == parts
    assert re.search(r"^#{0,3} ?1\. ", text, re.MULTILINE)


# --- Operations ---


def alarm_names() -> set[str]:
    """Return the names of Terraform's alarms, with {env} for the environment."""
    text = TERRAFORM["cloudwatch"]
    keys = re.findall(r'^ +"([^"\n]*\$\{[^"\n]+)" += \{', text, re.MULTILINE)
    named = re.findall(r'alarm_name += "([^"]+)"', text)
    names = set()
    for template in (*keys, *named):
        name = template.replace("${local.api_name}", "bbws-product-api-{env}").replace(
            "${var.environment}", "{env}"
        )
        functions = function_names("{env}") if "${name}" in template else [""]
        names |= {name.replace("${name}", function) for function in functions}
    assert not any("$" in name for name in names)
    return names


def test_sections_and_alarms_are_the_same() -> None:
    sections = {name.strip("`") for name in headings(OPERATIONS, 3) if name.startswith("`bbws-")}

    assert sections == alarm_names()
    assert len(sections) == 16


def test_each_alarm_of_events_leads_to_a_section() -> None:
    sections = set(re.findall(r'section = "([^"]+)"', TERRAFORM["event_functions"]))

    assert len(sections) == 8
    assert sections <= set(headings(OPERATIONS, 3))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 412, 429, 500, 503])
def test_reported_status_has_section(status: int) -> None:
    assert any(str(status) in heading for heading in headings(OPERATIONS, 3))


# Fields of Lambda's report lines in JSON. AWS Lambda Developer Guide, "Lambda Telemetry API Event
# schema reference", platform.report.
PLATFORM_FIELDS = {
    *("type", "record", "requestId", "status", "metrics", "durationMs", "initDurationMs"),
    *("maxMemoryUsedMB", "restoreDurationMs"),
}


def log_fields() -> set[str]:
    """Return the fields of log lines: those of the code, of the formatter and of Lambda."""
    folder = ROOT / "src/product_lambda"
    modules = [ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))]
    nodes = list(chain.from_iterable(map(ast.walk, modules)))
    extras = [
        keyword.value
        for node in nodes
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "extra"
    ]
    # A dictionary that two lines share has this name.
    extras += [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "fields"
    ]
    fields = {
        key.value
        for extra in extras
        if isinstance(extra, ast.Dict)
        for key in extra.keys
        if isinstance(key, ast.Constant)
    }
    assert {"duration_ms", "item_key", "flaws"} <= fields
    formatter = {"timestamp", "level", "message", "stackTrace"}
    return {str(name) for name in fields} | formatter | PLATFORM_FIELDS


def access_fields() -> set[str]:
    """Return the fields of the access log."""
    return set(re.findall(r'^ +(\w+) += "\$context', TERRAFORM["cloudwatch"], re.MULTILINE))


QUERY_COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
QUERY_OPERATORS = {"by", "as", "and", "or", "in", "like", "asc", "desc"}
QUERY_FUNCTIONS = {"count", "pct", "max", "bin", "ispresent"}
QUERY_WORDS = QUERY_COMMANDS | QUERY_OPERATORS | QUERY_FUNCTIONS


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param(query, kind, id=query.splitlines()[-2][:50])
        for kind in ("functions", "access")
        for query in blocks(OPERATIONS, f"logs-{kind}")
    ],
)
def test_query_uses_existing_log_fields(query: str, kind: str) -> None:
    fields = log_fields() if kind == "functions" else access_fields()
    stripped = re.sub(r'"[^"]*"|/[^/\n]+/', " ", query)
    defined = set(re.findall(r" as (\w+)", stripped))
    used = set(re.findall(r"(?<![\w@])[A-Za-z]\w*", stripped)) - QUERY_WORDS - defined

    assert used
    assert used - fields == set()
    assert set(re.findall(r"@\w+", stripped)) <= {"@timestamp", "@message"}


# --- Commands ---


# Options that the command line has instead of a parameter (AWS CLI Command Reference).
SHORT_OPTIONS = {("cloudfront", "create-invalidation"): {"paths": "invalidation-batch"}}


@pytest.mark.parametrize("words", commands_of("aws"))
def test_aws_command_exists_with_its_options(words: list[str]) -> None:
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
        api_operation = waiters.get_waiter(names[rest[0]]).operation
    else:
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in operations
        api_operation = operations[operation]
    shape = model.operation_model(api_operation).input_shape
    assert shape is not None
    parameters = {xform_name(name, "-"): value for name, value in shape.members.items()}
    booleans = {f"no-{name}" for name, value in parameters.items() if value.type_name == "boolean"}
    options = {word.removeprefix("--") for word in rest if word.startswith("--")}
    for short, long in SHORT_OPTIONS.get((service, operation), {}).items():
        options = {long if option == short else option for option in options}
    assert options <= {*parameters, *booleans, "query", "output", "region"}
    required = {xform_name(name, "-") for name in shape.required_members}
    assert required <= options


@pytest.mark.parametrize("words", commands_of(".venv/bin/python"))
def test_python_command_accepts_its_arguments(words: list[str]) -> None:
    check_script(words[1], words[2:])


@pytest.mark.parametrize("words", commands_of("make", "scripts/bootstrap.sh"))
def test_make_target_or_environment_exists(words: list[str]) -> None:
    check = check_make if words[0] == "make" else check_bootstrap
    check(words[1:])


@pytest.mark.parametrize("text", CASES)
def test_every_shell_block_runs_or_says_why_not(text: str) -> None:
    found = shell_blocks(text)

    assert [block.commands for block in found] == blocks(text, "sh")
    for block in found:
        runner = re.fullmatch(r"(\S+) runs it", block.skip_reason)
        if runner and runner[1] == ".ci/run":
            phases = (ROOT / ".ci" / "run").read_text()
            for command in block.commands.splitlines():
                phase = rf"^ *(?:beside )?phase {re.escape(command)}(?: #.*)?$"
                assert re.search(phase, phases, re.MULTILINE)
        elif runner:
            [command] = block.commands.splitlines()
            assert Path(command.split()[-1]).name in (ROOT / runner[1]).read_text()


def test_other_commands_are_known_programs() -> None:
    checked = {"aws", ".venv/bin/python", "make", "scripts/bootstrap.sh"}
    programs = {case.values[0][0] for case in command_lines()} - checked

    scripts = {name for name in programs if name.startswith("scripts/")}
    assert all((ROOT / name).exists() for name in scripts)
    assert programs - scripts <= {
        *("curl", "diff", "echo", "export", "gh", "git", "sleep", "terraform", "unset"),
    }


@pytest.mark.parametrize("text", CASES)
def test_terraform_has_every_variable_of_runbook(text: str) -> None:
    files = (ROOT / "terraform").rglob("variables.tf")
    variables = {
        name
        for file in files
        for name in re.findall(r'^variable "(\w+)"', file.read_text(), re.MULTILINE)
    }
    named = re.findall(r"TF_VAR_(\w+)|-var=\"?(\w+)=", text)

    assert set(chain.from_iterable(named)) - {""} <= variables


# --- Messages ---

MESSAGES_OF_OTHERS = {  # AWS, GitHub's action for AWS, Terraform
    "Apply complete!",
    "Credentials could not be loaded",
    "Caller does not have permissions to create a Service Linked Role",
    "CloudWatch Logs role ARN must be set in account settings",
    "Error acquiring the state lock",
    "Instance cannot be destroyed",
    "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    "Saved plan is stale",
}


def python_texts(source: str) -> Iterator[str]:
    """Yield the texts in Python code, with … for each value in an f-string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )


def texts_of_repository() -> list[str]:
    """Return the texts that commands and Terraform can print, with … for each value."""
    texts: list[str] = []
    for folder in ("src/product_tools", "scripts", "local"):
        for file in sorted((ROOT / folder).glob("*.py")):
            texts += python_texts(file.read_text())
    scripts = [path.read_text() for path in sorted((ROOT / "scripts").glob("*.sh"))]
    for text in (*scripts, *TERRAFORM.values()):
        one_line = re.sub(r'",\s+"', " ", text)  # a list of texts that Terraform joins
        texts.append(re.sub(r"\$\{[^}]*\}|\$\w+", "…", one_line))
    return texts


def quoted_messages(text: str) -> set[str]:
    """Return the messages that a runbook quotes: in tables of problems, and after a verb."""
    problems = re.findall(r"^\| ([^|]*)", text.split("\n## Troubleshooting\n")[1], re.MULTILINE)
    quotes = re.findall(r"`([^`]+)`", " ".join(problems))
    quotes += re.findall(r"(?:prints|with Terraform's|at the end)\s+`([^`\"]+)`", text)
    return {quote for quote in quotes if " " in quote} - MESSAGES_OF_OTHERS


TEXTS = texts_of_repository()


@pytest.mark.parametrize("text", [*CASES, pytest.param(GUIDES["admin"], id="admin")])
def test_quoted_message_is_in_the_code(text: str) -> None:
    missing = []
    for quote in quoted_messages(text):
        pattern = re.sub(r"…|\d+", ".*", re.escape(quote))
        if not any(re.search(pattern, message) for message in TEXTS):
            missing.append(quote)
    assert missing == []


@pytest.mark.parametrize(
    "line",
    [
        line
        for text in RUNBOOKS.values()
        for block in blocks(text, "text")
        for line in block.splitlines()
        if line != "…"
    ],
)
def test_example_output_is_possible(line: str) -> None:
    def prints_line(message: str) -> bool:
        is_sentence = len(message.replace("…", "")) >= len(" to version ")
        pattern = re.sub("…", ".+", re.escape(message))
        return is_sentence and "\n" not in message and bool(re.search(pattern, line))

    assert any(prints_line(message) for message in TEXTS)


def test_named_jobs_and_steps_are_in_the_workflows() -> None:
    workflows = (ROOT / ".github" / "workflows").iterdir()
    names = {
        name
        for workflow in workflows
        for name in re.findall(r"^ *(?:- )?name: (.+)$", workflow.read_text(), re.MULTILINE)
    }
    named = re.findall(r"\*\*([A-Z][^*:]+)\*\*", RUNBOOKS["deployment"] + GUIDE)
    assert set(named) - names == set()


# --- Environments ---


def test_table_of_environments_matches_terraform() -> None:
    for environment in ENVIRONMENTS:
        values = (ROOT / "terraform" / "environments" / f"{environment}.tfvars").read_text()
        account, region = (
            re.findall(rf'^{name} += "(.*)"$', values, re.MULTILINE)[0]
            for name in ("aws_account_id", "aws_region")
        )
        assert f"| {environment} | {account} | {region} |" in RUNBOOKS["deployment"]


def test_guide_names_every_workflow_and_environment() -> None:
    workflows = {path.name for path in (ROOT / ".github" / "workflows").iterdir()}
    assert set(re.findall(r"^\| `([\w-]+\.yml)`", GUIDE, re.MULTILINE)) == workflows

    environments = {f"{name}-{task}" for name in ENVIRONMENTS for task in ("plan", "rollback")}
    for name in ENVIRONMENTS:
        caller = ROOT / ".github" / "workflows" / f"deploy-{name}.yml"
        environments.add(yaml.safe_load(caller.read_text())["jobs"]["deploy"]["with"]["approval"])
    named = re.findall(r"^\| `([\w-]+)` \| (?:plans|deploys|rolls back)", GUIDE, re.MULTILINE)
    assert set(named) == environments
