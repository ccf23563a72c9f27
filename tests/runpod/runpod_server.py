"""RunPod's REST API v2 on loopback: see README.md. Answers and requests are held to the schema."""

import json
import re
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import runpod_schema
from runpod_pods import GONE, Pod

PRICES = {
    "NVIDIA L4": (24, 0.44),
    "NVIDIA RTX A4000": (16, 0.25),
    "NVIDIA A100 80GB PCIe": (80, 1.64),
}
NO_CAPACITY = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)


class RefusalError(Exception):
    def __init__(self, status: int, detail: str, errors: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


@dataclass
class Fault:
    """``kind``: a status, ``drop`` (nothing done) or ``drop_after`` (done, no answer)."""

    kind: str
    method: str = ""
    path: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class RunPodState:
    """One account, and how the world treats it."""

    root: Path
    key: str = "rpa_ACCOUNT0123456789"
    environment: dict[str, str] = field(default_factory=dict)
    """What pods find in their environment to reach the servers of the test."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Kept in the console, and filled in for ``{{ RUNPOD_SECRET_name }}``."""
    stock: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PRICES, "HIGH"))
    """What the catalog says."""
    sold_out: set[str] = field(default_factory=set)
    """What cannot be rented, whatever the catalog says."""
    forbidden: set[str] = field(default_factory=set)
    broke: bool = False
    held: bool = False
    """Pods stay in PROVISIONING."""
    deaf: bool = False
    """A pod's own key is not accepted."""
    silent: bool = False
    """A log's stream stays open after its pod."""
    pods: dict[str, Pod] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What this server itself answered against the schema."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def inject(self, kind: str, **more: Any) -> None:
        self.faults.append(Fault(str(kind), **more))

    def there(self) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.status != GONE]

    def processes(self) -> list[Pod]:
        return [p for p in self.pods.values() if p.process and p.process.poll() is None]

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method in ("", method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.broke:
            raise RefusalError(402, "insufficient balance")
        if ("gpu" in body) == ("cpu" in body):
            raise RefusalError(400, "exactly one of gpu and cpu must be set")
        gpu = body["gpu"]["id"]
        if gpu in self.forbidden:
            raise RefusalError(403, "access denied")
        if gpu not in PRICES or gpu in self.sold_out:
            raise RefusalError(400, NO_CAPACITY)
        if len(body.get("env", {})) > 50:
            raise RefusalError(400, "at most 50 environment variables")

        def filled(text: str) -> str:
            return re.sub(r"\{\{ RUNPOD_SECRET_(\w+) \}\}", lambda m: self.secrets[m[1]], text)

        env = {name: filled(value) for name, value in body.get("env", {}).items()}
        pod = Pod(body, self.root, self.environment | env, PRICES[gpu][1])
        pod.folder = self.root / pod.id
        self.pods[pod.id] = pod
        threading.Thread(target=pod.run, args=(lambda: self.held,), daemon=True).start()
        return pod.info()

    def catalog(self, with_stock: bool) -> dict[str, Any]:
        rows = []
        for name, (memory, price) in PRICES.items():
            row: dict[str, Any] = {
                "id": name, "name": name.removeprefix("NVIDIA "), "pool": None,
                "manufacturer": "NVIDIA", "memory": memory, "secure": True, "community": False,
                "price": {"secure": price, "community": 0.0},
                "maxCount": {"secure": 8, "community": 0},
            }  # fmt: skip
            rows.append(row | ({"availability": self.stock[name]} if with_stock else {}))
        return {"gpus": rows}

    def close(self) -> None:
        for pod in self.pods.values():
            pod.end(GONE)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: RunPodState

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        call = {"method": method, "path": url.path, "status": 0}
        self.state.calls.append(call)
        fault = self.state.fault(method, url.path)
        try:
            if fault and fault.kind == "drop":
                return self._hang_up()
            status, content = self._do(method, url.path, dict(parse_qsl(url.query)), body, fault)
        except RefusalError as no:
            status, content = no.status, {
                "title": HTTPStatus(no.status).phrase, "status": no.status, "detail": no.detail,
                **({"errors": no.errors} if no.errors else {}),
            }  # fmt: skip
            self.state.wrong += runpod_schema.faults("#/components/schemas/ErrorResponse", content)
        if fault and fault.kind == "drop_after":
            call["executed"] = status
            return self._hang_up()
        call["status"] = status
        if status == 200 and url.path.endswith("/logs"):
            return self._stream(content)
        self._send(status, content, fault.headers if fault else {})
        return None

    def _do(
        self, method: str, path: str, query: dict[str, str], raw: bytes, fault: Fault | None
    ) -> tuple[int, Any]:
        if fault and fault.kind.isdigit():
            raise RefusalError(int(fault.kind), "as the test wants it")
        if path.startswith(("/v1", "/graphql")):
            raise RefusalError(410, "this interface is gone")
        found = re.fullmatch(r"/v2(/pods|/catalog/gpus)(?:/(\w+)(/logs)?)?", path)
        if not found:
            raise RefusalError(404, "resource not found")
        base, number, logs = found.groups()
        name = f"{method} {base}" + ("/{id}" if number else "") + (logs or "")
        operation = runpod_schema.OPERATIONS.get(name)
        if operation is None:
            raise RefusalError(404, "resource not found")
        self._authorize(number)
        body = json.loads(raw) if raw else None
        errors = runpod_schema.query_faults(name, query)
        if "request" in operation:
            errors += runpod_schema.faults(operation["request"], body)
        if errors:
            raise RefusalError(422, "Request validation failed.", errors)
        with self.state.lock:
            content = self._carry_out(name, number, query, body)
        if "response" in operation:
            self.state.wrong += runpod_schema.faults(operation["response"], content)
        return operation["success"], content

    def _authorize(self, number: str | None) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        if given == self.state.key:
            return
        owner = next((p for p in self.state.pods.values() if p.key == given), None)
        if owner is None or self.state.deaf:
            raise RefusalError(401, "invalid bearer token")
        if owner.id != number:
            raise RefusalError(403, "access denied")

    def _carry_out(self, name: str, number: str | None, query: dict, body: Any) -> Any:
        if name == "GET /pods":
            return {"pods": [pod.info() for pod in self.state.there()]}
        if name == "POST /pods":
            return self.state.create(body)
        if name == "GET /catalog/gpus":
            return self.state.catalog("include" in query)
        pod = self.state.pods.get(number or "")
        if pod is None or pod.status == GONE:
            raise RefusalError(404, "pod not found")
        if name == "DELETE /pods/{id}":
            pod.end(GONE)
            return None
        if name == "GET /pods/{id}":
            return pod.info()
        return pod, int(query.get("tail", "100"))

    def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        self.send_response(status)
        for key, value in {
            "Content-Type": kind, "Content-Length": str(len(body)),
            "RateLimit": '"minute";r=59;t=60', "RateLimit-Policy": '"minute";q=60;w=60', **headers,
        }.items():  # fmt: skip
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, content: tuple[Pod, int]) -> None:
        pod, tail = content
        last = self.headers.get("last-event-id")
        sent = int(last.rpartition("/")[2]) if last else max(0, len(pod.lines) - tail)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError):
            while True:
                over = pod.status in (GONE, "EXITED", "ERROR") and not self.state.silent
                for at, row in enumerate(pod.lines[sent:], sent + 1):
                    text = f"id: {row['ts']}/{at:012d}\ndata: {json.dumps(row)}\n\n"
                    self.wfile.write(text.encode())
                    sent = at
                self.wfile.flush()
                if over or threading.main_thread() not in threading.enumerate():
                    return
                time.sleep(0.02)

    def _hang_up(self) -> None:
        self.close_connection = True


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that were killed in the middle of a request."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def serve(state: RunPodState) -> ThreadingHTTPServer:
    """Serve an account on a free port, in a thread, until ``shutdown``."""
    handler = type("AccountHandler", (Handler,), {"state": state})
    server = QuietServer(("127.0.0.1", 0), handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    return server
