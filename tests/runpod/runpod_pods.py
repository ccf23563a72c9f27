"""Pods: each is a process of this machine with its own folder, environment and log."""

import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polyid.engine import jit

GONE = "TERMINATED"
ACTIONS = {
    "PROVISIONING": ["stop", "terminate"],
    "STARTING": ["stop", "terminate"],
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "ERROR": ["start", "terminate"],
    GONE: [],
}


def stamp() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Pod:
    """A rented machine: what was asked, its container's process, its lines."""

    spec: dict[str, Any]
    folder: Path
    environment: dict[str, str]
    """What the host adds to the variables that were asked for."""
    price: float
    id: str = field(default_factory=lambda: secrets.token_hex(7))
    key: str = field(default_factory=lambda: "rpa_" + secrets.token_hex(16).upper())
    """The pod's own key."""
    created: str = field(default_factory=stamp)
    started: str | None = None
    status: str = "PROVISIONING"
    restarts: int = 0
    lines: list[dict[str, str]] = field(default_factory=list)
    process: "subprocess.Popen[str] | None" = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def run(self, held) -> None:
        """Start the container, and again whenever its process ends, as hosts do."""
        while held() and self.status == "PROVISIONING":
            time.sleep(0.02)
        while True:
            with self.lock:
                if self.status not in ("PROVISIONING", "STARTING", "RUNNING"):
                    return
                self.status = "STARTING"
                self.folder.mkdir(parents=True, exist_ok=True)
                self.process = self._popen()
                self.started, self.status = self.started or stamp(), "RUNNING"
            assert self.process.stdout is not None
            for line in self.process.stdout:
                self.lines.append({"ts": stamp(), "source": "container", "line": line.rstrip("\n")})
            self.process.stdout.close()
            self.process.wait()
            time.sleep(0.2)
            self.restarts += self.status == "RUNNING"

    def end(self, status: str) -> None:
        """Kill whatever runs; what was on the pod's own disk is lost."""
        with self.lock:
            self.status = status
            if self.process and self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def _popen(self) -> "subprocess.Popen[str]":
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "RUNPOD_POD_ID": self.id,
            "RUNPOD_API_KEY": self.key,
            "RUNPOD_GPU_COUNT": "1",
            "POLYID_KERNELS": str(jit.root()),  # as in an image: compiled before
            **self.environment,
        }
        return subprocess.Popen(
            ["trainer", *shlex.split(self.spec.get("args", ""))],  # the image's entry point
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
        spec, on = self.spec, self.status in ("PROVISIONING", "STARTING", "RUNNING")
        return {
            "id": self.id,
            "name": spec["name"],
            "status": self.status,
            "actions": ACTIONS[self.status],
            "image": spec["image"],
            "args": spec.get("args", ""),
            "disk": spec.get("disk", 50),
            "mounts": {},
            "ports": spec.get("ports", []),
            "env": spec.get("env", {}),
            "registry": spec.get("registry"),
            "cloud": spec.get("cloud", "SECURE"),
            "dataCenterId": "US-KS-2",
            "cudaVersion": "12.8",
            "ssh": {"proxy": None, "direct": None},
            "template": None,
            "cost": self.price if on else 0.0,
            "locked": False,
            "globalNetworking": {"enabled": False},
            "runtime": {"uptime": 1} if self.status == "RUNNING" else None,
            "gpu": {"id": spec["gpu"]["id"], "count": 1},
            "createdAt": self.created,
            "startedAt": self.started,
        }
