"""Hooks and a check for schemathesis, which loads this module by name.

They apply rules of the API that its schema cannot express.
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

from tests.support.products import BLANKS
from tests.support.response_check import FILTERS, ApiResponse, check_response

_numbers = count(1)


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Correct generated requests: a valid one must follow the rules outside the schema, too."""
    if case.meta is None:
        return
    if isinstance(case.meta.phase.data, CoveragePhaseData):
        _correct_constant_parameters(case, case.meta.phase.data)
    if case.meta.generation.mode.is_positive:
        _apply_rules_outside_the_schema(case)


def _correct_constant_parameters(case: Case[Any], coverage: CoveragePhaseData) -> None:
    """Correct the parameters that a request of the coverage phase does not vary.

    That phase puts every parameter into every request, and only letters and digits into headers:
    always the same idempotency key, and "0" for an entity tag.
    """
    for name, harmless in (("If-Match", "*"), ("If-None-Match", '"0"')):
        if case.headers.get(name) == "0" and coverage.parameter != name:
            case.headers[name] = harmless
    if "Idempotency-Key" in case.headers and coverage.parameter != "Idempotency-Key":
        case.headers["Idempotency-Key"] = f"request-{next(_numbers)}"
    if "offset" in case.query and coverage.parameter != "nextToken":
        case.query.pop("nextToken", None)


def _apply_rules_outside_the_schema(case: Case[Any]) -> None:
    """Correct tokens, parameters that contradict a token, texts without a sign, and amounts.

    `tests/support/hostile.py` tests those values.
    """
    if "nextToken" in case.query:
        is_token = _is_token(case.query["nextToken"], case.path)
        for name in ["sort", "offset", *FILTERS] if is_token else ["nextToken"]:
            case.query.pop(name, None)
    _correct_filters(case.query)
    if isinstance(case.body, dict):
        case.body = {
            name: _amount(value) if isinstance(value, float) else _visible_text(value)
            for name, value in case.body.items()
        }


def _correct_filters(query: dict[str, Any]) -> None:
    """Give prices a currency, two decimals and an order, and a name visible text."""
    prices = [name for name in ("minPrice", "maxPrice") if name in query]
    for name, value in zip(prices, sorted(float(query[name]) for name in prices), strict=True):
        query[name] = round(value, 2)
    if prices or str(query.get("sort")).endswith("price"):
        query.setdefault("currency", "ZAR")
    if "name" in query:
        query["name"] = _visible_text(query["name"])


def _is_token(token: object, path: str) -> bool:
    """Return whether a token has the form of those that the path gives."""
    try:
        parts = base64.urlsafe_b64decode(f"{token}==").split(b"|")
    except ValueError:
        return False
    if path == "/deleted-products":  # it has one order and no filters
        return len(parts) == 3 and parts[0] == b"-createdAt"
    return len(parts) in {3, 8}


def _amount(value: float) -> float:
    """Return the value with at most two decimals, and above zero."""
    return max(round(value, 2), 0.01)


def _visible_text(value: Any) -> Any:
    """Return the value with visible texts, without control and format characters."""
    if isinstance(value, list):
        return [_visible_text(each) for each in value]
    if not isinstance(value, str):
        return value
    text = "".join(c for c in value if unicodedata.category(c) not in {"Cc", "Cf"}).strip()
    is_visible = any(unicodedata.category(c)[0] in "LNPS" and c not in BLANKS for c in text)
    return text if is_visible else "text"


@schemathesis.check
def response_follows_common_rules(
    _context: CheckContext, response: Response, _case: Case[Any]
) -> None:
    """Apply the rules of the contract tests to every response."""
    request = response.request
    assert request.method
    assert request.url
    headers = HTTPHeaderDict(
        [(name, value) for name, values in response.headers.items() for value in values]
    )
    url = urlsplit(request.url)
    path = url.path.partition("/v1.0")[2]
    check_response(
        ApiResponse(
            request.method, path, response.status_code, headers, response.content, url.query
        )
    )
