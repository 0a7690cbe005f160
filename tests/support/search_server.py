"""A stand-in for OpenSearch on loopback: the calls that this project uses, with their rules.

Sources: OpenSearch documentation, "Bulk API", "Index document", "Manage aliases", "Create index",
"Mapping parameters: dynamic", "Search API". Documents are found after a refresh only; the real
server also refreshes by itself. Text is divided into words, and a query scores no result.
`tests/integration/test_search_server.py` holds this server and the real one to the same rules.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import simplejson

type Json = dict[str, Any]

_WORDS = re.compile(r"\w+")
_NUMBERS = frozenset({"scaled_float", "long"})


class SearchError(Exception):
    """A request or an action that OpenSearch rejects."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = {"type": kind, "reason": reason}


@dataclass
class Document:
    """A document with its version."""

    version: int
    source: Json


@dataclass
class Index:
    """An index: its mapping, its documents, and those that a search finds."""

    mappings: Json
    documents: dict[str, Document] = field(default_factory=dict)
    found: dict[str, Document] = field(default_factory=dict)

    def check(self, document_id: str, source: Mapping[str, Any]) -> None:
        """Check the fields of a document against the mapping.

        Raises:
            SearchError: a field has another type, or is new in a strict mapping.
        """
        properties = self.mappings.get("properties", {})
        for name, value in source.items():
            if name in properties:
                for each in value if isinstance(value, list) else [value]:
                    _check_value(document_id, name, properties[name]["type"], each)
            elif self.mappings.get("dynamic") == "strict":
                reason = f"mapping set to strict, dynamic introduction of [{name}] within [_doc]"
                raise SearchError(
                    400, "strict_dynamic_mapping_exception", f"{reason} is not allowed"
                )


class SearchServer:
    """The state of the server.

    Attributes:
        url: its URL.
        requests: method and path of each request, in their order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []
        self._indexes: dict[str, Index] = {}
        self._aliases: dict[str, dict[str, Json]] = {}  # options by index, by alias
        self._overloaded: dict[str, int] = {}
        self._watch: Callable[[str], object] | None = None
        self._lock = threading.RLock()

    def overload(self, document_id: str, times: int) -> None:
        """Respond with 429 to the next bulk actions for a document, as a full write queue does."""
        self._overloaded[document_id] = times

    def watch(self, watcher: Callable[[str], object]) -> None:
        """Call a function before each request, but not before those that it sends itself."""
        self._watch = watcher

    def _tell(self, request: str) -> None:
        watcher, self._watch = self._watch, None
        if watcher is not None:
            watcher(request)
            self._watch = watcher

    def respond(self, method: str, target: str, body: bytes) -> tuple[int, Json]:
        """Return status and body of the response to a request."""
        url = urlsplit(target)
        request = f"{method} {url.path}"
        self._tell(request)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self._lock:
            self.requests.append(request)
            try:
                return 200, self._route(method, url.path.strip("/").split("/"), query, body)
            except SearchError as error:
                return error.status, {"error": error.error, "status": error.status}

    def _route(  # noqa: PLR0911 (one for each call)
        self, method: str, path: list[str], query: Mapping[str, str], body: bytes
    ) -> Json:
        match method, path:
            case "POST", ["_aliases"]:
                return self._change_aliases(json.loads(body)["actions"])
            case "GET", ["_alias", name]:
                return self._alias(name)
            case "PUT", [index]:
                return self._create(index, json.loads(body or b"{}"))
            case "DELETE", [index]:
                return self._delete(index)
            case "POST" | "PUT", [target, "_bulk"]:
                return self._bulk(target, query, body.decode())
            case "POST", [target, "_refresh"]:
                for found in self._indexes_of(target):
                    self._refresh(found)
                return {"_shards": {"failed": 0}}
            case "GET" | "POST", [target, "_search"]:
                return self._search(target, json.loads(body or b"{}", parse_float=Decimal))
        raise SearchError(400, "illegal_argument_exception", f"no handler for {method} {path}")

    def _create(self, name: str, options: Json) -> Json:
        if name in self._indexes or name in self._aliases:
            reason = f"index [{name}/x] already exists"
            raise SearchError(400, "resource_already_exists_exception", reason)
        self._indexes[name] = Index(options.get("mappings", {}))
        for alias, alias_options in options.get("aliases", {}).items():
            self._aliases.setdefault(alias, {})[name] = alias_options
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _delete(self, name: str) -> Json:
        if name in self._aliases:
            reason = f"The provided expression [{name}] matches an alias, specify the"
            raise SearchError(400, "illegal_argument_exception", f"{reason} corresponding index")
        if self._indexes.pop(name, None) is None:
            raise _missing(name)
        for alias in list(self._aliases):
            self._unalias(alias, name)
        return {"acknowledged": True}

    def _alias(self, name: str) -> Json:
        if name not in self._aliases:
            raise SearchError(404, "aliases_not_found_exception", f"aliases [{name}] missing")
        return {
            index: {"aliases": {name: options}} for index, options in self._aliases[name].items()
        }

    def _change_aliases(self, actions: list[Json]) -> Json:
        for action in actions:  # all or nothing
            [(kind, options)] = action.items()
            if options["index"] not in self._indexes:
                raise _missing(options["index"])
            if kind == "remove" and options["index"] not in self._aliases.get(options["alias"], {}):
                reason = f"aliases [{options['alias']}] missing"
                raise SearchError(404, "aliases_not_found_exception", reason)
        for action in actions:
            [(kind, options)] = action.items()
            if kind == "add":
                kept = {name: options[name] for name in ("filter",) if name in options}
                self._aliases.setdefault(options["alias"], {})[options["index"]] = kept
            elif kind == "remove":
                self._unalias(options["alias"], options["index"])
            else:
                self._delete(options["index"])
        return {"acknowledged": True}

    def _unalias(self, alias: str, index: str) -> None:
        self._aliases[alias].pop(index, None)
        if not self._aliases[alias]:
            del self._aliases[alias]

    def _bulk(self, target: str, query: Mapping[str, str], body: str) -> Json:
        if not body.endswith("\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            raise SearchError(400, "illegal_argument_exception", reason)
        lines = iter([line for line in body.split("\n") if line])
        items = []
        for line in lines:
            [(action, options)] = json.loads(line).items()
            assert action == "index"  # the only action that this project uses
            source = simplejson.loads(next(lines), use_decimal=True)
            try:
                item = self._index(target, query, options, source)
            except SearchError as error:
                item = {"status": error.status, "error": error.error}
            items.append({action: {"_index": target, "_id": options["_id"], **item}})
        return {
            "took": 1,
            "errors": any("error" in item["index"] for item in items),
            "items": items,
        }

    def _index(self, target: str, query: Mapping[str, str], options: Json, source: Json) -> Json:
        document_id = options["_id"]
        if self._overloaded.get(document_id, 0):
            self._overloaded[document_id] -= 1
            raise SearchError(429, "rejected_execution_exception", "the write queue is full")
        if query.get("require_alias") == "true" and target not in self._aliases:
            reason = f"[require_alias] request flag is [true] and [{target}] is not an alias"
            raise SearchError(
                404, "index_not_found_exception", f"no such index [{target}] and {reason}"
            )
        if target not in self._aliases and target not in self._indexes:
            self._indexes[target] = Index({})
        indexes = self._indexes_of(target)
        if len(indexes) != 1:
            reason = f"no write index is defined for alias [{target}]"
            raise SearchError(400, "illegal_argument_exception", reason)
        [index] = indexes
        index.check(document_id, source)
        current = index.documents.get(document_id)
        version = _next_version(document_id, current, options)
        index.documents[document_id] = Document(version, source)
        if query.get("refresh") == "true":
            self._refresh(index)
        return {
            "_version": version,
            "result": "updated" if current else "created",
            "status": 200 if current else 201,
        }

    def _refresh(self, index: Index) -> None:
        index.found = dict(index.documents)

    def _search(self, target: str, query: Json) -> Json:
        matching = [
            (name, document_id, document)
            for name, index in self._indexes.items()
            if name == target or name in self._aliases.get(target, {})
            for document_id, document in index.found.items()
            if _matches(query.get("query", {"match_all": {}}), document.source)
            and _matches(self._filter(target, name), document.source)
        ]
        if target not in self._indexes and target not in self._aliases:
            raise _missing(target)
        total = len(matching)
        for entry in reversed(query.get("sort", [])):
            [(name, order)] = entry.items() if isinstance(entry, dict) else [(entry, "asc")]
            matching.sort(key=lambda hit: hit[2].source[name], reverse=order == "desc")
        sort = [
            next(iter(each)) if isinstance(each, dict) else each for each in query.get("sort", [])
        ]
        if after := query.get("search_after"):
            matching = [hit for hit in matching if [hit[2].source[name] for name in sort] > after]
        hits: list[Json] = []
        for name, document_id, document in matching[: query.get("size", 10)]:
            hit: Json = {"_index": name, "_id": document_id, "_source": document.source}
            if query.get("version"):
                hit["_version"] = document.version
            if sort:
                hit["sort"] = [document.source[each] for each in sort]
            if isinstance(names := query.get("_source"), list):
                hit["_source"] = {each: document.source[each] for each in names}
            hits.append(hit)
        return {"hits": {"total": {"value": total, "relation": "eq"}, "hits": hits}}

    def _filter(self, target: str, index: str) -> Json:
        options = self._aliases.get(target, {}).get(index, {})
        found: Json = options.get("filter", {"match_all": {}})
        return found

    def _indexes_of(self, target: str) -> list[Index]:
        names = self._aliases.get(target, [target] if target in self._indexes else [])
        if not names:
            raise _missing(target)
        return [self._indexes[name] for name in names]


def _missing(name: str) -> SearchError:
    return SearchError(404, "index_not_found_exception", f"no such index [{name}]")


def _next_version(document_id: str, current: Document | None, options: Json) -> int:
    """Return the version of a new state.

    Raises:
        SearchError: the current state has a version that the given one may not replace.
    """
    kind = options.get("version_type", "internal")
    if kind == "internal":
        return 1 if current is None else current.version + 1
    version: int = options["version"]
    if version < 0:
        reason = f"illegal version value [{version}] for version type [{kind.upper()}]"
        raise SearchError(400, "action_request_validation_exception", reason)
    is_newer = current is None or (
        version >= current.version if kind == "external_gte" else version > current.version
    )
    if not is_newer and current is not None:
        words = "higher than" if kind == "external_gte" else "higher or equal to"
        reason = f"current version [{current.version}] is {words} the one provided [{version}]"
        raise SearchError(
            409, "version_conflict_engine_exception", f"[{document_id}]: version conflict, {reason}"
        )
    return version


def _check_value(document_id: str, name: str, kind: str, value: object) -> None:
    if value is None or _has_type(kind, value):
        return
    reason = f"failed to parse field [{name}] of type [{kind}] in document with id '{document_id}'"
    raise SearchError(400, "mapper_parsing_exception", reason)


def _has_type(kind: str, value: object) -> bool:
    if kind in {"keyword", "text"}:
        return not isinstance(value, dict)
    if kind == "boolean":
        return value in {True, False, "true", "false"}
    if isinstance(value, bool):
        return False
    if kind in _NUMBERS:
        return isinstance(value, int | Decimal) or _is_number(str(value))
    return isinstance(value, int) or _is_time(str(value))  # a date


def _is_number(text: str) -> bool:
    with contextlib.suppress(ArithmeticError):
        return Decimal(text).is_finite()
    return False


def _is_time(text: str) -> bool:
    with contextlib.suppress(ValueError):
        datetime.fromisoformat(text)
        return True
    return False


def _matches(query: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    [(kind, options)] = query.items()
    if kind == "match_all":
        return True
    if kind == "bool":
        parts = [*options.get("must", []), *options.get("filter", [])]
        return all(_matches(part, source) for part in parts)
    [(name, expected)] = options.items()
    value = source.get(name.removesuffix(".keyword"))
    values = value if isinstance(value, list) else [value]
    if kind == "term":
        return expected in values
    if kind == "match":
        words = set(_WORDS.findall(str(expected).lower()))
        return any(words & set(_WORDS.findall(str(each).lower())) for each in values)
    assert kind == "range"
    compare = {"gte": lambda a, b: a >= b, "lte": lambda a, b: a <= b}
    return value is not None and all(
        compare[name](value, bound) for name, bound in expected.items()
    )


@contextlib.contextmanager
def search_server() -> Iterator[SearchServer]:
    """Serve on an unused port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # header and body are two packets

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, document = state.respond(self.command, self.path, body)
            content = simplejson.dumps(document, use_decimal=True).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = SearchServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
