"""What schemathesis is taught about the API; it loads this module by name. Nothing here sends.

Source: Schemathesis documentation, "Extending Schemathesis".
"""

from itertools import count
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.generation.meta import CoveragePhaseData
from urllib3 import HTTPHeaderDict

from tests.contract.judge import Answer, judge

_numbers = count(1)


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Let requests of the coverage phase get past what they do not vary.

    That phase writes every parameter into every request, and only letters and digits into headers:
    always the same idempotency key, and "0" where an entity tag belongs.
    """
    if case.meta is None or not isinstance(coverage := case.meta.phase.data, CoveragePhaseData):
        return
    for name, harmless in (("If-Match", "*"), ("If-None-Match", '"0"')):
        if case.headers.get(name) == "0" and coverage.parameter != name:
            case.headers[name] = harmless
    if "Idempotency-Key" in case.headers and coverage.parameter != "Idempotency-Key":
        case.headers["Idempotency-Key"] = f"request-{next(_numbers)}"
    if "offset" in case.query and coverage.parameter != "nextToken":
        case.query.pop("nextToken", None)


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
    judge(Answer(request.method, path, response.status_code, headers, response.content))
