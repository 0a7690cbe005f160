"""The settings: required ones, defaults, and the sentence for invalid ones."""

import ast
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path

import pytest

from product_lambda.utils.settings import (
    EventSettings,
    Settings,
    load_event_settings,
    load_settings,
)
from product_tools.functions import EVENT_FUNCTIONS

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / ".env.example"
EVENT_HANDLERS = REPOSITORY / "src" / "product_lambda" / "event_handlers"
NEEDED = {
    "TABLE_NAME": "products-dev",
    "AWS_REGION": "eu-west-1",
    "CORS_ALLOWED_ORIGINS": "https://a.example",
}


def test_required_settings_are_enough() -> None:
    assert load_settings(NEEDED) == Settings(
        table_name="products-dev",
        cors_allowed_origins=("https://a.example",),
        aws_region="eu-west-1",
        aws_endpoint_url=None,
        log_level="INFO",
        read_cache_control="no-cache",
        edge_cache_seconds=None,
        read_only=False,
        product_indexes=False,
        change_queue_url=None,
    )


def test_all_settings_are_read() -> None:
    environment = {
        "TABLE_NAME": " products-prod ",
        "AWS_REGION": "af-south-1",
        "CORS_ALLOWED_ORIGINS": "https://a.example, https://b.example ,,",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "LOG_LEVEL": "DEBUG",
        "READ_CACHE_CONTROL": "public, max-age=60",
        "EDGE_CACHE_SECONDS": "60",
        "READ_ONLY": "true",
        "PRODUCT_INDEXES": "true",
        "CHANGE_QUEUE_URL": " https://sqs.af-south-1.amazonaws.com/1/changes.fifo",
    }
    assert load_settings(environment) == Settings(
        table_name="products-prod",
        cors_allowed_origins=("https://a.example", "https://b.example"),
        aws_region="af-south-1",
        aws_endpoint_url="http://127.0.0.1:4566",
        log_level="DEBUG",
        read_cache_control="public, max-age=60",
        edge_cache_seconds=60,
        read_only=True,
        product_indexes=True,
        change_queue_url="https://sqs.af-south-1.amazonaws.com/1/changes.fifo",
    )


def test_empty_setting_counts_as_unset() -> None:
    nothing = {"AWS_ENDPOINT_URL": "", "LOG_LEVEL": " ", "READ_CACHE_CONTROL": " ", "READ_ONLY": ""}
    assert load_settings({**NEEDED, **nothing}) == load_settings(NEEDED)


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_every_log_level_is_accepted(level: str) -> None:
    assert load_settings({**NEEDED, "LOG_LEVEL": level}).log_level == level


def test_read_only_can_be_false() -> None:
    assert load_settings({**NEEDED, "READ_ONLY": "false"}).read_only is False


@pytest.mark.parametrize("seconds", ["1", "86400"])
def test_edge_cache_seconds_are_a_whole_number(seconds: str) -> None:
    settings = load_settings({**NEEDED, "EDGE_CACHE_SECONDS": seconds})
    assert settings.edge_cache_seconds == int(seconds)


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "86401", "\u0661", "\xb2", "sixty"])
def test_other_edge_cache_seconds_are_rejected(seconds: str) -> None:
    with pytest.raises(
        ValueError, match="set EDGE_CACHE_SECONDS to a whole number from 1 to 86400"
    ):
        load_settings({**NEEDED, "EDGE_CACHE_SECONDS": seconds})


def test_one_sentence_names_all_invalid_settings() -> None:
    with pytest.raises(ValueError, match="not complete") as raised:
        load_settings({"LOG_LEVEL": "loud", "READ_ONLY": "yes"})
    assert str(raised.value) == (
        "The configuration is not complete: "
        "set CORS_ALLOWED_ORIGINS to the portal's origins, separated by commas, or to *; "
        "set TABLE_NAME to the name of the DynamoDB table; "
        "set AWS_REGION to the region of the table; "
        "set LOG_LEVEL to one of DEBUG, INFO, WARNING, ERROR, CRITICAL; "
        "set READ_ONLY to one of true, false."
    )


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("missing", ["", " "])
def test_required_setting_may_not_be_blank(name: str, missing: str) -> None:
    with pytest.raises(ValueError, match=f"set {name} to"):
        load_settings({**NEEDED, name: missing})


@pytest.mark.parametrize("origins", [",", " , "])
def test_at_least_one_origin_is_required(origins: str) -> None:
    with pytest.raises(ValueError, match="set CORS_ALLOWED_ORIGINS to"):
        load_settings({**NEEDED, "CORS_ALLOWED_ORIGINS": origins})


def settings_in(module: Path) -> Iterator[str]:
    """Yield the names that a module gives to `load_event_settings()`."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name("load_event_settings"), args=[_, ast.Dict(keys=names)]):
                yield from (str(ast.literal_eval(name)) for name in names if name)


def test_example_file_names_every_setting() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used: set[str] = set()

    class Environment(UserDict[str, str]):
        def __getitem__(self, name: str) -> str:
            used.add(name)
            return super().__getitem__(name)

    load_settings(Environment(example))
    for name in EVENT_FUNCTIONS:
        of_function = dict.fromkeys(settings_in(EVENT_HANDLERS / f"{name}.py"), "a value")
        assert of_function, name
        load_event_settings(Environment(example), of_function)
        used |= set(of_function)
    assert used == set(example)


def test_settings_of_event_function_are_read() -> None:
    variables = {
        "AUDIT_BUCKET": " audit-dev ",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "LOG_LEVEL": "DEBUG",
    }
    assert load_event_settings(variables, {"AUDIT_BUCKET": "a bucket"}) == EventSettings(
        required={"AUDIT_BUCKET": "audit-dev"},
        aws_region="eu-west-1",
        aws_endpoint_url="http://127.0.0.1:4566",
        log_level="DEBUG",
    )


def test_missing_settings_of_event_function_are_named() -> None:
    with pytest.raises(
        ValueError,
        match="set AUDIT_BUCKET to a bucket; set AWS_REGION to the region of the function",
    ):
        load_event_settings({}, {"AUDIT_BUCKET": "a bucket"})
