"""Whom alarms reach: an address in SIT and PROD, and its confirmed subscription."""

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from product_tools.pipeline_roles import github_environment
from product_tools.preflight.checks import (
    Check,
    Finding,
    NotCheckedError,
    error_code,
    found,
    found_if,
    missing,
)
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_VARIABLE = "ALERT_EMAIL"
_SETTING = "TF_VAR_alert_email"  # for an apply by hand
_PENDING = "PendingConfirmation"


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the address; DEV needs none."""
    if target.environment == "dev":
        return
    place = github_environment("plan", target.environment)
    yield Check(
        "Address for alarms",
        "alert_email, or waive_alert_email = true",
        f"set the variable {_VARIABLE} of the GitHub environment {place}, or alert_email in"
        f" terraform/environments/{target.deployment}.tfvars",
        partial(_address, target, place),
    )
    yield Check(
        "Subscription to alarms",
        "confirmed by the mail from AWS",
        "confirm the subscription in the mail from AWS",
        partial(_subscription, target),
    )


def _address(target: Target, place: str) -> Finding:
    if target.values.get("waive_alert_email"):
        return found("waived: alarms reach no person by mail")
    address = target.values.get("alert_email") or os.environ.get(_SETTING)
    if address:
        return found(address)
    try:
        variable = target.github.get(f"/environments/{place}/variables/{_VARIABLE}")
    except NotCheckedError as error:
        raise NotCheckedError(
            f"none in the files; the variable {_VARIABLE} is not known ({error})", error.mend
        ) from error
    if variable and variable["value"]:
        return found(f"{variable['value']}, by {_VARIABLE} of {place}")
    return missing("no address")


def _subscription(target: Target) -> Finding:
    client: SNSClient = target.client("sns")
    topic = f"arn:aws:sns:{target.region}:{target.account}:bbws-product-alerts-{target.environment}"
    try:
        pages = list(client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    except ClientError as error:
        if error_code(error) in {"NotFound", "NotFoundException"}:
            raise NotCheckedError(
                "the first deployment makes the topic", "run it again after the first deployment"
            ) from error
        raise
    states = [
        "pending" if each["SubscriptionArn"] == _PENDING else "confirmed"
        for page in pages
        for each in page["Subscriptions"]
    ]
    text = f"{states.count('confirmed')} confirmed, {states.count('pending')} pending"
    is_waived = bool(target.values.get("waive_alert_email"))
    return found_if(is_waived or ("confirmed" in states and "pending" not in states), text)
