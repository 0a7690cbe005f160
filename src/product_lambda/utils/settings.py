"""The settings of a function, read once from environment variables and checked together."""

from collections.abc import Mapping
from typing import NamedTuple


class Settings(NamedTuple):
    """The settings of a function; `.env.example` describes each."""

    table_name: str
    cors_allowed_origins: tuple[str, ...]
    aws_region: str
    aws_endpoint_url: str | None
    log_level: str
    read_cache_control: str
    read_only: bool
    product_indexes: bool


_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SWITCH = {"true": True, "false": False}


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from a mapping of environment variables.

    Raises:
        ValueError: one sentence that names every missing or invalid variable.
    """
    errors: list[str] = []

    def required(name: str, description: str) -> str:
        value = environment.get(name, "").strip(" ,")  # only commas are no value
        if not value:
            errors.append(f"set {name} to {description}")
        return value

    def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = environment.get(name, "").strip() or default
        if value not in allowed:
            errors.append(f"set {name} to one of {', '.join(allowed)}")
        return value

    def switch(name: str) -> bool:
        return _SWITCH.get(one_of(name, "false", tuple(_SWITCH)), False)

    origins = required("CORS_ALLOWED_ORIGINS", "the portal's origins, separated by commas, or to *")
    settings = Settings(
        table_name=required("TABLE_NAME", "the name of the DynamoDB table"),
        cors_allowed_origins=tuple(part.strip() for part in origins.split(",") if part.strip()),
        aws_region=required("AWS_REGION", "the region of the table"),
        aws_endpoint_url=environment.get("AWS_ENDPOINT_URL") or None,
        log_level=one_of("LOG_LEVEL", "INFO", _LOG_LEVELS),
        read_cache_control=environment.get("READ_CACHE_CONTROL", "").strip() or "no-cache",
        read_only=switch("READ_ONLY"),
        product_indexes=switch("PRODUCT_INDEXES"),
    )
    if errors:
        raise ValueError(f"The configuration is not complete: {'; '.join(errors)}.")
    return settings
