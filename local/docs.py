"""The OpenAPI page: Swagger UI's own files and ours, all from this machine.

It reads `openapi/product-api.yaml` anew for each visit, and never changes it.
"""

import json
from pathlib import Path
from typing import Any

import swagger_ui_bundle  # type: ignore[import-untyped]
import yaml

from local.gateway import BASE_PATH, HttpAnswer

OPENAPI_FILE = Path(__file__).resolve().parents[1] / "openapi" / "product-api.yaml"
_PAGE = Path(__file__).with_name("docs_page")
_SWAGGER_UI: Path = swagger_ui_bundle.swagger_ui_path

_FILES = {
    "/docs": (_PAGE / "index.html", "text/html; charset=utf-8"),
    "/docs/start.js": (_PAGE / "start.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": (_SWAGGER_UI / "swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": (
        _SWAGGER_UI / "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
    "/docs/favicon.png": (_SWAGGER_UI / "favicon-32x32.png", "image/png"),
}
# The browser itself holds the line that nothing comes from elsewhere. Swagger UI sets styles and
# draws icons inline.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def page_file(path: str) -> HttpAnswer | None:
    """What the page needs from `path`; None where nothing is. The root leads to the page."""
    if path == "/":
        return HttpAnswer(302, [("Location", "/docs")], b"")
    if path == "/openapi.json":
        document = json.dumps(openapi_document()).encode()
        return HttpAnswer(200, [("Content-Type", "application/json")], document)
    if path in _FILES:
        file, media_type = _FILES[path]
        headers = [("Content-Type", media_type), ("Content-Security-Policy", _POLICY)]
        return HttpAnswer(200, headers, file.read_bytes())
    return None


def openapi_document() -> dict[str, Any]:
    """The API's description as the page needs it: this server only, and nothing sent unasked.

    Swagger UI fills its form with the examples of parameters; an optional one, such as a
    precondition, would then change what every request means.
    """
    document: dict[str, Any] = yaml.safe_load(OPENAPI_FILE.read_text())
    document["servers"] = [{"url": f"/{BASE_PATH}", "description": "This machine"}]
    for parameter in document["components"]["parameters"].values():
        if not parameter.get("required"):
            parameter.pop("example", None)
    return document
