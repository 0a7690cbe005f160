"""The function's configuration, read once from environment variables and checked as a whole."""

from collections.abc import Mapping
from typing import NamedTuple


class Settings(NamedTuple):
    """What a function needs to know of its environment; `.env.example` describes each."""

    table_name: str
    cors_allowed_origins: tuple[str, ...]
    aws_region: str
    aws_endpoint_url: str | None
    log_level: str
    read_cache_control: str
    read_only: bool


_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SWITCH = {"true": True, "false": False}


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings from a mapping of environment variables.

    Raises:
        ValueError: one sentence that names every variable that is missing or wrong.
    """
    faults: list[str] = []

    def required(name: str, meaning: str) -> str:
        value = environment.get(name, "").strip(" ,")  # a list of commas names nothing
        if not value:
            faults.append(f"set {name} to {meaning}")
        return value

    def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = environment.get(name, "").strip() or default
        if value not in allowed:
            faults.append(f"set {name} to one of {', '.join(allowed)}")
        return value

    origins = required("CORS_ALLOWED_ORIGINS", "the portal's origins, separated by commas, or to *")
    settings = Settings(
        table_name=required("TABLE_NAME", "the name of the DynamoDB table"),
        cors_allowed_origins=tuple(part.strip() for part in origins.split(",") if part.strip()),
        aws_region=required("AWS_REGION", "the region of the table"),
        aws_endpoint_url=environment.get("AWS_ENDPOINT_URL") or None,
        log_level=one_of("LOG_LEVEL", "INFO", _LOG_LEVELS),
        read_cache_control=environment.get("READ_CACHE_CONTROL", "").strip() or "no-cache",
        read_only=_SWITCH.get(one_of("READ_ONLY", "false", tuple(_SWITCH)), False),
    )
    if faults:
        raise ValueError(f"The configuration is not complete: {'; '.join(faults)}.")
    return settings
