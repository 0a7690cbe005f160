"""The OpenAPI page at /docs, and the OpenAPI file for generators: all from this machine.

Each visit reads `openapi/product-api.yaml` again; the file never changes here.
"""

import json
from pathlib import Path
from typing import Any

import swagger_ui_bundle  # type: ignore[import-untyped]
import yaml

from local.gateway import BASE_PATH, HttpResponse
from product_tools.repository import REPOSITORY

_OPENAPI_FILE = REPOSITORY / "openapi" / "product-api.yaml"
_PAGE = Path(__file__).with_name("docs_page")
_SWAGGER_UI: Path = swagger_ui_bundle.swagger_ui_path

_FILES = {
    "/docs": (_PAGE / "index.html", "text/html; charset=utf-8"),
    "/docs/": (_PAGE / "index.html", "text/html; charset=utf-8"),
    "/docs/phone.css": (_PAGE / "phone.css", "text/css; charset=utf-8"),
    "/docs/start.js": (_PAGE / "start.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": (_SWAGGER_UI / "swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": (
        _SWAGGER_UI / "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
    "/docs/favicon.png": (_SWAGGER_UI / "favicon-32x32.png", "image/png"),
}
# The policy blocks external requests. Swagger UI needs inline styles and icons.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def page_response(path: str) -> HttpResponse | None:
    """Return the page, a file of it, or the redirect from the root; None for any other path."""
    if path == "/":
        return HttpResponse(302, [("Location", "/docs")], b"")
    if path == "/openapi.yaml":  # media type: RFC 9512
        return HttpResponse(200, [("Content-Type", "application/yaml")], _OPENAPI_FILE.read_bytes())
    if path == "/openapi.json":
        document = json.dumps(_openapi_document()).encode()
        return HttpResponse(200, [("Content-Type", "application/json")], document)
    if path in _FILES:
        file, media_type = _FILES[path]
        headers = [
            ("Content-Type", media_type),
            ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
        ]
        return HttpResponse(200, headers, file.read_bytes())
    return None


def _openapi_document() -> dict[str, Any]:
    """Return the API's description with this server only, and no examples of optional parameters.

    Swagger UI fills its form with the examples of parameters. An optional parameter, such as a
    precondition, would then change the meaning of each request.
    """
    document: dict[str, Any] = yaml.safe_load(_OPENAPI_FILE.read_text())
    del document["info"]["license"]["identifier"]  # Swagger UI would link it to a page of SPDX
    document["servers"] = [{"url": f"/{BASE_PATH}", "description": "This machine"}]
    for parameter in document["components"]["parameters"].values():
        if not parameter.get("required"):
            parameter.pop("example", None)
    return document
