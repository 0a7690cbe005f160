"""A corpus of hostile input, and the rules for the responses to it.

Nothing here sends it: tests and the fuzzer do.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.support.events import FunctionResponse, gateway_event
from tests.support.leaks import INTERNAL_DETAIL

_VALID: Final = (
    '"name": "Basic", "description": "One.", "price": 10, "period": "yearly", "features": ["A"]'
)

BODIES: Final = (
    "",
    " ",
    "null",
    "true",
    "0",
    '"text"',
    "[]",
    "[{}]",
    "{",
    "}",
    '{"name"',
    '{"name": ',
    '{"name": "Basic",}',
    "{'name': 'Basic'}",
    "{name: 1}",
    f"{{{_VALID}}} trailing",
    f"{{{_VALID}}}{{{_VALID}}}",
    f"\ufeff{{{_VALID}}}",
    f"\x00{{{_VALID}}}",
    "/* comment */ {}",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"features": ' + "[" * 5_000 + "]" * 5_000 + "}",
    "9" * 100_000,
    f'{{{_VALID}, "price": {"9" * 50_000}}}',
    f'{{{_VALID}, "name": "twice"}}',
    *(
        f'{{"name": "Basic", "description": "One.", "price": {price}, "period": "yearly",'
        ' "features": ["A"]}'
        for price in (
            *("NaN", "Infinity", "-Infinity", "1e400", "1e-400", "1e999999999999", "-1e999999999"),
            *("-0", "-0.0", "0e0", "1E2147483648", "0.1e-99999", "01", "+1", ".5", "5.", "0x10"),
            *("1_000", "1e", "--1", "1.7976931348623157e308", "5e-324", "99999999.990000001"),
            *('"10"', "true", "null", "[]", "{}", '{"$numberDecimal": "1"}', "\u0661", "1\u0660"),
        )
    ),
    *(
        f'{{"name": "{name}", "description": "One.", "price": 1, "period": "yearly",'
        ' "features": ["A"]}'
        for name in (
            *(
                r"\u0000",
                r"\ud800",
                r"\udfff",
                r"\ud800\ud800",
                r"\uDBFF\uDFFF",
                r"\u202e",
                r"\ufffe",
            ),
            *("\u200b", "\u00a0", "\ud7ff", "e\u0301" * 200, "\U0001f469\u200d\U0001f4bb" * 60),
            *("' OR '1'='1", "${jndi:ldap://x}", "{{7*7}}", "%s%s%n", "../../etc/passwd", "$ne"),
            *("<script>alert(1)</script>", "; DROP TABLE products", "`id`", "a" * 201, "\\x"),
        )
    ),
    '{"__proto__": {"active": false}}',
    '{"__class__": "x", "__dict__": {}}',
    '{"PK": "PRODUCT#PROD-001", "SK": "METADATA"}',
    '{"#name": 1, ":name": 2, "name = :x": 3}',
    '{"version": 99, "active": true, "updatedBy": "me"}',
    '{"price": {"N": "1"}}',
    '{"features": [' + '"A",' * 60_000 + '"A"]}',
    '{"' + "k" * 100_000 + '": 1}',
    "{" + ",".join(f'"k{number}": 1' for number in range(10_000)) + "}",
    "\u00e9" * 131_073,  # 256 KiB and two bytes, in fewer characters
)

BASE64_BODIES: Final = (
    "",
    "=",
    "A",
    "AA",
    "AAA",
    "AAAA",
    "====",
    "//79",
    "gA==",
    "e30",
    "\u00e9",
    "e30=\n",
)

PATHS: Final = (
    *(
        "",
        " ",
        "PROD-",
        "PROD-a",
        "prod-001",
        "PROD-001 ",
        " PROD-001",
        "PROD-001\n",
        "PROD-001\x00",
    ),
    *(
        "PROD--",
        "PROD-A-",
        "PROD-" + "A" * 33,
        "PROD-" + "A" * 100_000,
        "PROD-\u0410",
        "PROD-\u0661",
    ),
    *("../PROD-001", "PROD-001/..", "%50ROD-001", "PROD-001%00", "PROD-001;x", "PROD-001?x", "*"),
    *("PRODUCT#PROD-001", "COUNTER#PRODUCT", "IDEMPOTENCY#x", "METADATA", "\ud800", "\U0001f600"),
)

QUERIES: Final = (
    *(
        {"limit": value}
        for value in (
            "",
            "0",
            "-1",
            "101",
            "1e2",
            "1.0",
            "+1",
            " 1",
            "\u0661",
            "9" * 5000,
            "0x1",
            "1\n",
        )
    ),
    *({"offset": value} for value in ("-1", "1001", "NaN", "9" * 5000, "1 OR 1=1")),
    *(
        {"sort": value}
        for value in ("", "price", "--createdAt", "createdAt,-createdAt", "\u2212createdAt")
    ),
    *(
        {"nextToken": value}
        for value in (
            *("", "A", "====", "bm90IGEgdG9rZW4", "e30", "\u00e9", "A" * 100_000, "fHx8", "fA"),
            # -createdAt|COUNTER|PRODUCT, and a token with a key of another partition
            *("LWNyZWF0ZWRBdHxDT1VOVEVSfFBST0RVQ1Q", "eyJQSyI6IkNPVU5URVIjUFJPRFVDVCJ9"),
        )
    ),
    {"offset": "0", "nextToken": "A"},
    {"__proto__": "1"},
    {"": ""},
    {"limit[]": "1"},
    {"LIMIT": "1"},
    {f"p{number}": "1" for number in range(1000)},
)

HEADERS: Final = (
    *(
        {name: value}
        for name in ("If-Match", "If-None-Match")
        for value in (
            *("", "1", '"', '""', '"1', "W/", 'W/"1"', '"1" "2"', "*, *", '*"1"', "\x00", "\u00e9"),
            *(",", ",,,", ", " * 50_000, '"1", ' * 50_000, '"' + "9" * 5000 + '"', '"-1"', '"1e9"'),
            *(" " * 100_000 + "x", '"\u0661"', "(" * 10_000, '"\x7f"', "\ud800"),
        )
    ),
    *(
        {"Idempotency-Key": value}
        for value in ("", " ", "a b", "a" * 256, "\u00e9", "\x7f", "\t", "\ud800", "key, key")
    ),
    *(
        {"Content-Type": value}
        for value in (
            *(
                "",
                "text/plain",
                "application/xml",
                "application/json, text/html",
                "APPLICATION/JSON",
            ),
            *(
                "application/jsonx",
                "application/json;charset=utf-16",
                "application/json" + ";" * 99_999,
            ),
        )
    ),
    *({"Origin": value} for value in ("null", "https://evil.example", "*", "a\r\nX: y", "\u00e9")),
    {"if-match": '"1"', "IF-MATCH": '"2"'},
    {"Content-Length": "-1", "Transfer-Encoding": "chunked"},
    {f"X-{number}": "v" for number in range(1000)},
)

MALFORMED_EVENTS: Final[tuple[Any, ...]] = (
    {},
    {"pathParameters": [], "headers": 1, "multiValueHeaders": "x", "body": {"name": "x"}},
    {"pathParameters": {"productId": None}, "requestContext": None},
    {"pathParameters": {"productId": ["PROD-001"]}, "requestContext": {"identity": "x"}},
    {"multiValueHeaders": {"If-Match": None}, "headers": {"If-Match": None}},
    {"multiValueHeaders": {"If-Match": [None, 1, {}]}},
    {"multiValueQueryStringParameters": {"limit": "1"}, "queryStringParameters": {"limit": 1}},
    {"body": 1, "isBase64Encoded": "yes"},
    {"body": "\ud800", "isBase64Encoded": False},
    {"body": "\ud800", "isBase64Encoded": True},
    {"requestContext": {"requestId": "", "identity": {"apiKeyId": "\ud800"}}},
    {"requestContext": {"requestId": 1, "identity": {"apiKeyId": 1}}},
)

_ALLOWED: Final = frozenset({200, 201, 204, 304, 400, 404, 409, 412, 413, 415, 422})


def hostile_events() -> Iterator[Any]:
    """Yield every event of the corpus; each has one hostile part."""
    for body in BODIES:
        yield gateway_event(product_id="PROD-001", body=body)
    for body in BASE64_BODIES:
        yield {**gateway_event(product_id="PROD-001", body=body), "isBase64Encoded": True}
    for path in PATHS:
        yield gateway_event(product_id=path, body="{}")
    for query in QUERIES:
        yield gateway_event(query=query)
    for headers in HEADERS:
        yield gateway_event(product_id="PROD-001", headers=headers, body='{"name": "New"}')
    yield from MALFORMED_EVENTS


def violations(response: FunctionResponse) -> list[str]:
    """Return one sentence for each rule that a response breaks."""
    found: list[str] = []
    if response.status not in _ALLOWED:
        found.append(f"The status is {response.status}.")
    if response.status >= 400:
        document = response.json()
        if response.headers.get("Content-Type") != "application/problem+json":
            found.append("The error is not a problem document.")
        text = f"{document['title']} {document['detail']} {document['type']}"
        text += " ".join(each["message"] for each in document.get("errors", ()))
        if detail := INTERNAL_DETAIL.search(text):
            found.append(f"It shows an internal detail: {detail[0]}.")
    for name, value in response.headers.items():
        if re.search(r"[\r\n\x00]", f"{name}{value}"):
            found.append(f"The header {name!r} contains a line break or a null character.")
    return found
