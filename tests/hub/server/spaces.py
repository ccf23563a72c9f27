"""Spaces: stages that pass with time, hardware, variables, secrets, volumes, logs.

A push, restart or change of settings starts a walk through stages; each lasts ``space_seconds`` of
the server's settings, and the stage before the change is still shown for ``space_lag_seconds`` (a
client that trusts the first RUNNING after a push is caught by that). No application runs unless the
Space was given a command: then a process is replaced on the way, and RUNNING is what it has become.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hardware
import sse
from space_process import Application
from starlette.responses import JSONResponse, Response
from wire import Call, RefusalError, route, stamp

if TYPE_CHECKING:
    from state import Repo

WALK = ("BUILDING", "APP_STARTING", "RUNNING")
STAGES = (
    *WALK,
    "RUNNING_BUILDING",
    "RUNNING_APP_STARTING",
    "NO_APP_FILE",
    "CONFIG_ERROR",
    "BUILD_ERROR",
    "RUNTIME_ERROR",
    "STOPPED",
    "PAUSED",
    "SLEEPING",
)
#: Stages in which an application runs or comes.
LIVE = {*WALK, "RUNNING_BUILDING", "RUNNING_APP_STARTING"}
TIMES = {"space_seconds": 0.1, "space_lag_seconds": 0.05}


@dataclass
class Space:
    """The runtime of one Space."""

    sdk: str
    times: dict[str, Any]
    requested: str = "cpu-basic"
    current: str | None = None
    sleep: int | None = 172800
    sha: str | None = None
    walk: list[tuple[float, str, str | None]] = field(default_factory=list)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret_values: dict[str, str] = field(default_factory=dict)
    volumes: list[dict[str, Any]] | None = None
    logs: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {"run": [], "build": []})
    ends: str = "RUNNING"
    application: Application | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of(cls, payload: dict[str, Any], times: dict[str, Any]) -> Space:
        """The Space that a request to create one asks for; without an application yet."""
        space = cls(payload["sdk"], times)
        space.walk = [(0.0, "NO_APP_FILE", None)]
        space.requested = payload.get("hardware") or "cpu-basic"
        _known(space.requested)
        space.sleep = payload.get("sleepTimeSeconds") or space.sleep
        space.volumes = payload.get("volumes")
        for row in payload.get("variables") or []:
            space.put_variable(row)
        for row in payload.get("secrets") or []:
            space.put_secret(row)
        return space

    def stage(self) -> str:
        now = time.monotonic()
        with self.lock:
            past = [row for row in self.walk if row[0] <= now]
            _, stage, sha = past[-1]
            if stage == "RUNNING" and self.application is not None:
                stage = self.application.stage() if len(past) == len(self.walk) else stage
            if stage in {"RUNNING", "RUNTIME_ERROR"}:
                self.current, self.sha = self.requested, sha
            return stage

    def go(self, *stages: str, sha: str | None = None) -> None:
        """Leave the present stage after the lag, then pass through ``stages``."""
        now = self.stage()
        lag = float(self.times.get("space_lag_seconds", 0.05))
        start, step = time.monotonic() + lag, float(self.times.get("space_seconds", 0.1))
        with self.lock:
            rows = [(0.0, now, self.sha)]
            rows += [(start + i * step, stage, sha) for i, stage in enumerate(stages)]
            self.walk = rows
            if self.application is not None:
                builds = sum(stage.endswith("BUILDING") for stage in stages)
                runs = stages[-1] == "RUNNING"
                self.application.replace(self.settings(), lag + builds * step, runs)

    def settings(self) -> dict[str, str]:
        """What the application finds in its environment."""
        return {key: row["value"] for key, row in self.variables.items()} | self.secret_values

    def rebuild(self, oid: str) -> None:
        """What a push to main starts; it ends as :attr:`ends` says."""
        running = self.stage().startswith("RUNNING")
        names = [f"RUNNING_{s}" if running else s for s in WALK[:2]]
        built = names[:1] if self.ends == "BUILD_ERROR" else names
        self.say("build", f"===== Build Queued for commit {oid[:7]} =====")
        self.say("run", f"===== Application Startup for commit {oid[:7]} =====")
        self.go(*built, self.ends, sha=oid)

    def restart(self, *, factory: bool = False) -> None:
        """Start the application again, after a build when ``factory``."""
        self.say("run", "===== Application Startup after restart =====")
        built = ("BUILDING",) if factory else ()
        oid = self.walk[-1][2] or self.sha
        self.go(*built, "APP_STARTING", self.ends, sha=oid)

    def say(self, log: str, text: str) -> None:
        self.logs[log].append({"data": f"{text}\n", "timestamp": stamp()})

    def changed(self) -> None:
        """A change of settings restarts an application that runs or starts."""
        if self.stage() not in {"PAUSED", "STOPPED", "NO_APP_FILE", "SLEEPING"}:
            self.restart()

    def put_variable(self, row: dict[str, Any]) -> None:
        known = {"value": str(row["value"]), "updatedAt": stamp()}
        if row.get("description"):
            known["description"] = row["description"]
        self.variables[str(row["key"])] = {"key": row["key"], **known}

    def put_secret(self, row: dict[str, Any]) -> None:
        known = {"key": row["key"], "updatedAt": stamp()}
        if row.get("description"):
            known["description"] = row["description"]
        self.secrets[str(row["key"])] = known
        self.secret_values[str(row["key"])] = str(row["value"])

    def told(self, stage: str | None, ends: str | None) -> dict[str, Any]:
        """Force a stage, or how the next walk ends; what a Space's inside would see."""
        for name in (stage, ends):
            if name is not None and name not in STAGES:
                raise ValueError(f"stage {name!r}, expected one of {', '.join(STAGES)}")
        self.ends = ends or self.ends
        if stage:
            self.walk = [(0.0, stage, self.sha)]
            if self.application is not None and stage != "RUNNING":
                self.application.stop()
        variables = {key: row["value"] for key, row in self.variables.items()}
        return {"variables": variables, "secrets": self.secret_values, "sha": self.sha}

    def domains(self) -> list[dict[str, Any]]:
        if self.application is None:
            return []
        return [{"domain": self.application.domain, "isCustom": False, "stage": "READY"}]

    def runtime(self) -> dict[str, Any]:
        stage = self.stage()
        paused = stage in {"PAUSED", "STOPPED", "SLEEPING", "NO_APP_FILE"}
        answer: dict[str, Any] = {
            "stage": stage,
            "hardware": {"current": None if paused else self.current, "requested": self.requested},
            "storage": None,
            "gcTimeout": self.sleep,
            "replicas": {"current": 0 if paused else 1, "requested": 1},
            "devMode": False,
            "domains": self.domains(),
            "sha": self.sha,
        }
        if self.volumes is not None:
            answer["volumes"] = self.volumes
        return answer


def _known(flavor: str) -> None:
    if flavor not in hardware.SPACES:
        raise RefusalError(
            400, f"hardware {flavor!r}, expected one of {', '.join(hardware.SPACES)}"
        )


def _of(repo: Repo) -> Space:
    assert isinstance(repo.space, Space)
    return repo.space


def _at(call: Call, *, write: bool = True) -> Space:
    call.params["kind"] = "spaces"
    return _of((call.state.writable if write else call.state.readable)(call))


def runtime(call: Call) -> Response:
    return JSONResponse(_at(call, write=False).runtime())


def set_hardware(call: Call) -> Response:
    space, payload = _at(call), call.json()
    _known(str(payload.get("flavor")))
    space.requested = payload["flavor"]
    space.sleep = payload.get("sleepTimeSeconds", space.sleep)
    space.changed()
    return JSONResponse(space.runtime())


def set_sleep(call: Call) -> Response:
    space = _at(call)
    space.sleep = int(call.json()["seconds"])
    return JSONResponse(space.runtime())


def pause(call: Call) -> Response:
    space = _at(call)
    with space.lock:
        space.walk = [(0.0, "PAUSED", space.sha)]
        if space.application is not None:
            space.application.stop()
    return JSONResponse(space.runtime())


def restart(call: Call) -> Response:
    space = _at(call)
    if space.stage() == "NO_APP_FILE":
        raise RefusalError(400, "the Space has no application file yet")
    if space.stage() == "PAUSED":
        space.walk = [(0.0, "STOPPED", space.sha)]
    space.restart(factory=call.flag("factory"))
    return JSONResponse(space.runtime())


def variables(call: Call) -> Response:
    method = call.request.method
    space = _at(call, write=method != "GET")
    if method == "POST":
        space.put_variable(call.json())
    elif method == "DELETE" and space.variables.pop(str(call.json().get("key")), None) is None:
        raise RefusalError(404, f"variable {call.json().get('key')!r} does not exist")
    if method != "GET":
        space.changed()
    return JSONResponse(space.variables)


def secrets(call: Call) -> Response:
    space = _at(call)
    method = call.request.method
    if method == "POST":
        space.put_secret(call.json())
    elif method == "DELETE" and space.secrets.pop(str(call.json().get("key")), None) is None:
        raise RefusalError(404, f"secret {call.json().get('key')!r} does not exist")
    if method == "GET":
        return JSONResponse(space.secrets)
    space.changed()
    return JSONResponse({})


def volumes(call: Call) -> Response:
    space = _at(call)
    space.volumes = call.json().get("volumes") if call.request.method == "PUT" else None
    space.changed()
    return JSONResponse(space.runtime())


def _logs(call: Call) -> sse.Source:
    space, log = _at(call), call.params["log"]
    if log not in space.logs:
        raise RefusalError(404, f"log {log!r}, expected run or build")
    rows, application = list(space.logs[log]), space.application
    if log == "build" or application is None:
        running = log == "run"
        return lambda: (space.logs[log], running and space.stage().startswith("RUNNING"))
    home = application.home

    def lines() -> tuple[list[dict[str, Any]], bool]:
        more = application.home == home and space.stage() in LIVE
        said = application.log() if application.home == home else []
        return [*rows, *({"data": f"{x}\n", "timestamp": stamp()} for x in said)], more

    return lines


def list_hardware(_: Call) -> Response:
    return JSONResponse(hardware.rows(hardware.SPACES, spaces=True))


_AT = "/api/spaces/{ns}/{name}"
ROUTES = [
    route("/api/spaces/hardware", "GET", list_hardware),
    route(f"{_AT}/runtime", "GET", runtime),
    route(f"{_AT}/hardware", "POST", set_hardware),
    route(f"{_AT}/sleeptime", "POST", set_sleep),
    route(f"{_AT}/pause", "POST", pause),
    route(f"{_AT}/restart", "POST", restart),
    route(f"{_AT}/variables", "GET POST DELETE", variables),
    route(f"{_AT}/secrets", "GET POST DELETE", secrets),
    route(f"{_AT}/volumes", "PUT DELETE", volumes),
    sse.stream(f"{_AT}/logs/{{log}}", _logs),
]
