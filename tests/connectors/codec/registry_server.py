"""A schema registry for tests: what confluent-kafka's client asks of Confluent's REST API, over HTTP on this machine."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class RegistryServer:
    """Keeps schemas in memory.

    Attributes:
        url: of its root.
        asked: the method and path of each request, in order.
        failing: answers to give in place of the true ones, status and body, the first to the next request.
        login: `user:password` that is needed, or None.
        refuses: what is said of every schema that is to be registered with status 409, or None.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing: list[tuple[int, bytes]] = []
        self.login: str | None = None
        self.refuses: str | None = None
        self._schemas: dict[int, dict[str, Any]] = {}
        self._subjects: dict[str, list[int]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that it has
                """Say nothing."""

            def _reply(self, body: dict[str, Any]) -> None:
                status, made = server._answer(self.command, self.path, body, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(made)))
                self.end_headers()
                self.wfile.write(made)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(
        self,
        schema: Any,
        *,
        subject: str = "raw-value",
        kind: str = "AVRO",
        references: Sequence[tuple[str, str, int]] = (),
    ) -> int:
        """Register a schema, JSON or a text as it is; gives its id. References are name, subject and version."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        keys = ("name", "subject", "version")
        body = {
            "schema": text,
            "schemaType": kind,
            "references": [dict(zip(keys, one, strict=True)) for one in references],
        }
        return self._register(subject, body)

    def text(self, number: int) -> str:
        """Give the text of the schema with this id."""
        return str(self._schemas[number]["schema"])

    def subject(self, name: str) -> list[int]:
        """Give the ids of the versions of a subject."""
        return self._subjects.get(name, [])

    def _register(self, subject: str, body: dict[str, Any]) -> int:
        kept = {
            "schemaType": "AVRO",
            **{key: body[key] for key in ("schema", "schemaType", "references") if body.get(key)},
        }
        number = next((number for number, other in self._schemas.items() if other == kept), len(self._schemas) + 1)
        self._schemas[number] = kept
        versions = self._subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def _answer(self, method: str, path: str, body: dict[str, Any], login: str | None) -> tuple[int, bytes]:
        self.asked.append(f"{method} {urlsplit(path).path}")
        if self.failing:
            return self.failing.pop(0)
        if self.login is not None and login != f"Basic {base64.b64encode(self.login.encode()).decode()}":
            return 401, json.dumps({"error_code": 401, "message": "Unauthorized"}).encode()
        status, made = self._found(method, unquote(urlsplit(path).path), body)
        return status, json.dumps(made).encode()

    def _found(  # noqa: PLR0911  # a case a request
        self, method: str, path: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        if match := re.fullmatch(r"/schemas/ids/(\d+)", path):
            found = self._schemas.get(int(match[1]))
            if found is None:
                return 404, {"error_code": 40403, "message": f"Schema {match[1]} not found"}
            # As Confluent's does it: the type of Avro isn't said.
            return 200, {key: value for key, value in found.items() if (key, value) != ("schemaType", "AVRO")}
        if match := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            versions = self.subject(match[1])
            if not 1 <= int(match[2]) <= len(versions):
                return 404, {"error_code": 40402 if versions else 40401, "message": f"Version {match[2]} not found"}
            number = versions[int(match[2]) - 1]
            return 200, {"subject": match[1], "version": int(match[2]), "id": number, **self._schemas[number]}
        if method == "POST" and (match := re.fullmatch(r"/subjects/([^/]+)", path)):
            versions = self.subject(match[1])
            for version, number in enumerate(versions, 1):
                if self.text(number) == body["schema"]:
                    return 200, {"subject": match[1], "version": version, "id": number, **self._schemas[number]}
            return 404, {"error_code": 40403 if versions else 40401, "message": "not found"}
        if method == "POST" and (match := re.fullmatch(r"/subjects/([^/]+)/versions", path)):
            if self.refuses is not None:
                return 409, {"error_code": 409, "message": self.refuses}
            return 200, {"id": self._register(match[1], body)}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
