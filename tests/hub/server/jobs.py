"""Jobs: each is a process of this machine with its own folder, environment, timeout and log."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hardware
import sse
from starlette.responses import JSONResponse, Response
from wire import Call, RefusalError, page_link, route, stamp

DEFAULT_TIMEOUT = 1800.0
ENDED = {"COMPLETED", "CANCELED", "ERROR", "DELETED"}


@dataclass
class Job:
    """A job: what was asked, its process, its lines."""

    id: str
    owner: str
    spec: dict[str, Any]
    initiator: dict[str, Any]
    folder: Path
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    stage: str = "SCHEDULING"
    message: str | None = None
    process: subprocess.Popen[str] | None = None
    lines: list[dict[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def say(self, text: str) -> None:
        self.lines.append({"data": text, "timestamp": stamp()})

    def finish(self, stage: str, message: str | None) -> None:
        """Settle the end once: the first to say how it ended is right."""
        with self.lock:
            if self.stage not in ENDED:
                self.finished, self.stage, self.message = time.time(), stage, message
        self.kill()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def run(self, extra: dict[str, str], held: Callable[[], bool]) -> None:
        """Run the command, at most ``attempts`` times, and keep what it prints."""
        while held() and self.stage not in ENDED:
            time.sleep(0.02)
        spec = self.spec
        limit = float(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT)
        clock = threading.Timer(limit, self.finish, ("ERROR", f"Job timeout after {limit:g} s"))
        clock.daemon = True
        for _ in range(max(int(spec.get("attempts") or 1), 1)):
            with self.lock:
                if self.stage in ENDED:
                    break
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    self.process = self._popen(extra)
                except OSError as bad:
                    self.say(f"exec: {bad}")
                    self.finish("ERROR", f"Job failed with exit code: 127. Reason: {bad}")
                    break
                if self.started is None:
                    self.started, self.stage = time.time(), "RUNNING"
                    self.say(f"===== Job started at {stamp()} =====")
                    clock.start()
            assert self.process.stdout is not None
            for line in self.process.stdout:
                self.say(line.rstrip("\n"))
            self.process.stdout.close()
            code = self.process.wait()
            if code == 0:
                self.finish("COMPLETED", None)
                break
        else:
            self.finish("ERROR", f"Job failed with exit code: {code}")
        clock.cancel()

    def _popen(self, extra: dict[str, str]) -> subprocess.Popen[str]:
        command = [*map(str, self.spec["command"]), *map(str, self.spec.get("arguments") or [])]
        # nothing of the server's own environment reaches a job, as in a container
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "JOB_ID": self.id,
            **hardware.kernels(),
            **hardware.environment(self.spec["flavor"]),
            **extra,
        }
        for part in ("environment", "secrets"):
            env |= {str(k): str(v) for k, v in (self.spec.get(part) or {}).items()}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def info(self) -> dict[str, Any]:
        now = self.finished or time.time()
        spec = self.spec
        running = None if self.started is None else int(now - self.started)
        scheduling = None if self.started is None else int(self.started - self.created)
        return {
            "id": self.id,
            "createdAt": stamp(self.created),
            "startedAt": stamp(self.started) if self.started else None,
            "finishedAt": stamp(self.finished) if self.finished else None,
            "dockerImage": spec.get("dockerImage"),
            "spaceId": spec.get("spaceId"),
            "command": spec["command"],
            "arguments": spec.get("arguments") or [],
            "environment": spec.get("environment") or {},
            "secrets": dict.fromkeys(spec.get("secrets") or {}, "(hidden)"),
            "flavor": spec["flavor"],
            "timeout": spec.get("timeoutSeconds") or DEFAULT_TIMEOUT,
            "labels": spec.get("labels") or {},
            "volumes": spec.get("volumes") or [],
            "status": {"stage": self.stage, "message": self.message},
            "durations": {
                "schedulingSecs": scheduling,
                "runningSecs": running,
                "totalSecs": int(now - self.created),
            },
            "owner": {"id": f"id-{self.owner}", "name": self.owner, "type": "user"},
            "initiator": self.initiator,
        }


class Jobs:
    """All jobs of a server."""

    def __init__(self, root: Path, held: Callable[[], bool]) -> None:
        self.root, self.held = root, held
        self.by_id: dict[str, Job] = {}

    def start(self, owner: str, spec: dict[str, Any], by: dict, extra: dict[str, str]) -> Job:
        number = secrets.token_hex(12)
        job = Job(number, owner, spec, by, self.root / number)
        self.by_id[number] = job
        threading.Thread(target=job.run, args=(extra, self.held), daemon=True).start()
        return job

    def close(self) -> None:
        for job in self.by_id.values():
            job.finish("CANCELED", "the server ended")


def _allowed(call: Call) -> str:
    owner = call.params["ns"]
    if call.who is None:
        raise RefusalError(401, "Invalid username or password.")
    if not call.who.may_job(owner):
        text = f"the token {call.who.name!r} (role {call.who.role}) may not run jobs of {owner}"
        raise RefusalError(403, text)
    return owner


def _job(call: Call) -> Job:
    owner = _allowed(call)
    job = call.state.jobs.by_id.get(call.params["id"])
    if job is None or job.owner != owner:
        raise RefusalError(404, f"Job {call.params['id']} not found")
    return job


def _environment(call: Call) -> dict[str, str]:
    return {
        "HF_ENDPOINT": call.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def start(call: Call) -> Response:
    owner, spec = _allowed(call), call.json()
    command = spec.get("command")
    if not isinstance(command, list) or not command:
        raise RefusalError(400, f"command {command!r}, expected a list of at least one word")
    if bool(spec.get("dockerImage")) == bool(spec.get("spaceId")):
        raise RefusalError(400, "exactly one of dockerImage and spaceId is needed")
    spec.setdefault("flavor", "cpu-basic")
    if spec["flavor"] not in hardware.JOBS:
        raise RefusalError(400, f"flavor {spec['flavor']!r}, expected one of {hardware.JOBS}")
    if call.state.settings.get("no_credit"):
        raise RefusalError(402, "Payment required: pre-paid credit balance is insufficient")
    assert call.who is not None
    by = {"type": "user", "id": f"id-{call.who.user}", "name": call.who.user}
    return JSONResponse(call.state.jobs.start(owner, spec, by, _environment(call)).info())


def listing(call: Call) -> Response:
    owner = _allowed(call)
    query = call.request.query_params
    stages, labels = query.getlist("stage"), [w.split("=", 1) for w in query.getlist("label")]
    rows = []
    for job in reversed(list(call.state.jobs.by_id.values())):
        known = job.spec.get("labels") or {}
        labelled = all(known.get(pair[0]) == pair[-1] for pair in labels)
        if job.owner == owner and (not stages or job.stage in stages) and labelled:
            rows.append(job.info())
    begin = int(query.get("cursor") or 0)
    more = page_link(call, cursor=begin + 50) if begin + 50 < len(rows) else {}
    return JSONResponse(rows[begin : begin + 50], headers=more)


def inspect(call: Call) -> Response:
    return JSONResponse(_job(call).info())


def cancel(call: Call) -> Response:
    job = _job(call)
    job.finish("CANCELED", None)
    return JSONResponse(job.info())


def duplicate(call: Call) -> Response:
    old = _job(call)
    by = {"type": "duplicated-job", "id": old.id}
    job = call.state.jobs.start(old.owner, dict(old.spec), by, _environment(call))
    return JSONResponse(job.info())


def label(call: Call) -> Response:
    job = _job(call)
    job.spec["labels"] = call.json().get("labels") or {}
    return JSONResponse(job.info())


def _logs(call: Call) -> sse.Source:
    job, tail = _job(call), call.query("tail")
    skip = max(len(job.lines) - int(tail), 0) if tail else 0

    def source() -> tuple[list[dict[str, str]], bool]:
        more = job.stage not in ENDED  # asked first: lines of the end are then in the list
        return job.lines[skip:], more

    return source


def _metrics(call: Call) -> sse.Source:
    job = _job(call)
    if job.stage in ENDED:
        raise RefusalError(406, "the job has ended")
    row: dict[str, Any] = {
        "cpu_usage_pct": 1,
        "memory_used_bytes": 1 << 20,
        "memory_total_bytes": 16 << 30,
    }
    row |= {"rx_bps": 0, "tx_bps": 0, "gpus": {}, "replica": "local"}
    began = time.monotonic()
    return lambda: ([row] * (1 + int(time.monotonic() - began)), job.stage not in ENDED)


def list_hardware(_: Call) -> Response:
    return JSONResponse(hardware.rows(hardware.JOBS))


ROUTES = [
    route("/api/jobs/hardware", "GET", list_hardware),
    route("/api/jobs/{ns}", "POST", start),
    route("/api/jobs/{ns}", "GET", listing),
    route("/api/jobs/{ns}/{id}", "GET", inspect),
    route("/api/jobs/{ns}/{id}/cancel", "POST", cancel),
    route("/api/jobs/{ns}/{id}/duplicate", "POST", duplicate),
    route("/api/jobs/{ns}/{id}/labels", "PUT POST", label),
    sse.stream("/api/jobs/{ns}/{id}/logs", _logs),
    sse.stream("/api/jobs/{ns}/{id}/metrics", _metrics, event="metric"),
]
