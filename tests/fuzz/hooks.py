"""What schemathesis is taught about the API; it loads this module by name. Nothing here sends.

Source: Schemathesis documentation, "Extending Schemathesis".
"""

import base64
import unicodedata
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.generation.meta import CoveragePhaseData
from urllib3 import HTTPHeaderDict

from tests.support.judge import ApiResponse, judge

_numbers = count(1)


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Make a request that is meant to be valid so, by the rules that no schema can state."""
    if case.meta is None:
        return
    if isinstance(case.meta.phase.data, CoveragePhaseData):
        _let_pass_what_does_not_vary(case, case.meta.phase.data)
    if case.meta.generation.mode.is_positive:
        _keep_to_the_prose(case)


def _let_pass_what_does_not_vary(case: Case[Any], coverage: CoveragePhaseData) -> None:
    """Let requests of the coverage phase get past what they do not vary.

    That phase writes every parameter into every request, and only letters and digits into headers:
    always the same idempotency key, and "0" where an entity tag belongs.
    """
    for name, harmless in (("If-Match", "*"), ("If-None-Match", '"0"')):
        if case.headers.get(name) == "0" and coverage.parameter != name:
            case.headers[name] = harmless
    if "Idempotency-Key" in case.headers and coverage.parameter != "Idempotency-Key":
        case.headers["Idempotency-Key"] = f"request-{next(_numbers)}"
    if "offset" in case.query and coverage.parameter != "nextToken":
        case.query.pop("nextToken", None)


def _keep_to_the_prose(case: Case[Any]) -> None:
    """Send only tokens that name a place, nothing beside one that contradicts it, and fair texts.

    What the API says to others is tested with `tests/support/hostile.py`.
    """
    if "nextToken" in case.query:
        unfit = ["sort", "offset"] if _names_a_place(case.query["nextToken"]) else ["nextToken"]
        for name in unfit:
            case.query.pop(name, None)
    if isinstance(case.body, dict):
        case.body = {name: _as_described(value) for name, value in case.body.items()}


def _names_a_place(token: object) -> bool:
    try:
        return base64.urlsafe_b64decode(f"{token}==").count(b"|") == 2
    except ValueError:
        return False


def _as_described(value: Any) -> Any:
    """The value, its texts without control characters and not blank."""
    if isinstance(value, list):
        return [_as_described(each) for each in value]
    if not isinstance(value, str):
        return value
    return "".join(c for c in value if unicodedata.category(c) != "Cc").strip() or "text"


@schemathesis.check
def keeps_the_rules_of_all_answers(
    _context: CheckContext, response: Response, _case: Case[Any]
) -> None:
    """Judge the answer as in the contract tests."""
    request = response.request
    assert request.method
    assert request.url
    headers = HTTPHeaderDict(
        [(name, value) for name, values in response.headers.items() for value in values]
    )
    path = urlsplit(request.url).path.partition("/v1.0")[2]
    judge(ApiResponse(request.method, path, response.status_code, headers, response.content))
