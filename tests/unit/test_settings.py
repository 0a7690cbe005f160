"""The configuration: what is needed, what is assumed, and what a wrong one is told."""

from collections import UserDict
from pathlib import Path

import pytest

from product_lambda.utils.settings import Settings, settings_from

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
NEEDED = {
    "TABLE_NAME": "products-dev",
    "AWS_REGION": "eu-west-1",
    "CORS_ALLOWED_ORIGINS": "https://a.example",
}


def test_what_is_needed_is_enough() -> None:
    assert settings_from(NEEDED) == Settings(
        table_name="products-dev",
        cors_allowed_origins=("https://a.example",),
        aws_region="eu-west-1",
        aws_endpoint_url=None,
        log_level="INFO",
        read_cache_control="no-cache",
        read_only=False,
    )


def test_everything_can_be_set() -> None:
    environment = {
        "TABLE_NAME": " products-prod ",
        "AWS_REGION": "af-south-1",
        "CORS_ALLOWED_ORIGINS": "https://a.example, https://b.example ,,",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "LOG_LEVEL": "DEBUG",
        "READ_CACHE_CONTROL": "public, max-age=60",
        "READ_ONLY": "true",
    }
    assert settings_from(environment) == Settings(
        table_name="products-prod",
        cors_allowed_origins=("https://a.example", "https://b.example"),
        aws_region="af-south-1",
        aws_endpoint_url="http://127.0.0.1:4566",
        log_level="DEBUG",
        read_cache_control="public, max-age=60",
        read_only=True,
    )


def test_what_is_set_to_nothing_counts_as_not_set() -> None:
    nothing = {"AWS_ENDPOINT_URL": "", "LOG_LEVEL": " ", "READ_CACHE_CONTROL": " ", "READ_ONLY": ""}
    assert settings_from({**NEEDED, **nothing}) == settings_from(NEEDED)


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_every_level_of_logging_can_be_set(level: str) -> None:
    assert settings_from({**NEEDED, "LOG_LEVEL": level}).log_level == level


def test_read_only_can_be_switched_off() -> None:
    assert settings_from({**NEEDED, "READ_ONLY": "false"}).read_only is False


def test_one_sentence_names_everything_that_is_wrong() -> None:
    with pytest.raises(ValueError, match="not complete") as raised:
        settings_from({"LOG_LEVEL": "loud", "READ_ONLY": "yes"})
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
def test_what_is_needed_is_not_empty(name: str, missing: str) -> None:
    with pytest.raises(ValueError, match=f"set {name} to"):
        settings_from({**NEEDED, name: missing})


@pytest.mark.parametrize("origins", [",", " , "])
def test_at_least_one_origin_is_named(origins: str) -> None:
    with pytest.raises(ValueError, match="set CORS_ALLOWED_ORIGINS to"):
        settings_from({**NEEDED, "CORS_ALLOWED_ORIGINS": origins})


def test_the_example_file_names_every_setting_with_a_value_that_works() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    asked: set[str] = set()

    class Environment(UserDict[str, str]):
        def __getitem__(self, name: str) -> str:
            asked.add(name)
            return super().__getitem__(name)

    settings_from(Environment(example))
    assert asked == set(example)
