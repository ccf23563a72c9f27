"""Runs as containers of this machine, through the API that Docker and Podman share.

A run's container is named by its fingerprint, so the engine itself sees to it that there is one.
It may write what is mounted and one folder in memory, nothing else, and holds no capability.
"""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import docker  # type: ignore[import-untyped]
import requests
from docker.errors import NotFound  # type: ignore[import-untyped]
from docker.models.containers import Container  # type: ignore[import-untyped]
from docker.types import LogConfig  # type: ignore[import-untyped]
from docker.types import Mount as Bind

from trainer.targets import docker_engine
from trainer.targets.base import LABEL, Handle, Leftover, RunSpec, Stage, State, TargetError
from trainer.targets.docker_engine import asked
from trainer.targets.secret import secret

#: The image's only writable folder: its home, its temporary files, and below it the mounts.
HOME = "/srv/run"
#: Seconds to save before a kill: more than the run gives its own workers.
_GRACE = 150
#: How often a log stream that broke is opened anew without a new line coming.
_RECONNECTS = 8
_LIVE = frozenset({"created", "running", "paused", "restarting"})
_ENDS: dict[int, tuple[Stage, str]] = {
    0: ("done", ""),
    75: ("cancelled", "it was interrupted, and saved"),
    124: ("failed", "timeout"),
    137: ("failed", "it was killed"),
    143: ("cancelled", "it was stopped"),
}


class DockerTarget:
    """Containers of the engine that this user reaches.

    Parameters
    ----------
    url : str, optional
        The engine's address; by default that of ``DOCKER_HOST``, or the first usual socket.
    """

    name = "docker"

    def __init__(self, url: str | None = None) -> None:
        self.url = url
        self._client: docker.DockerClient | None = None

    @property
    def client(self) -> docker.DockerClient:
        """The engine's client, connected when first needed."""
        if self._client is None:
            self._client = docker_engine.connect(self.url)
        return self._client

    def submit(self, spec: RunSpec) -> Handle:
        """Start a container, or adopt the one that runs; see `Target.submit`."""
        for container in self._containers(spec.fingerprint):
            if container.status in _LIVE:
                return self._started(container, adopted=True)
            self._remove(container)  # its log was kept until now
        environment = {**spec.env, **{name: secret(name) for name in spec.secrets}}
        docker_engine.require_image(self.client, spec.image)
        options = self._options(spec) | {"environment": environment}
        try:
            made = asked("the container", self.client.containers.create, spec.image, **options)
        except TargetError:
            for container in self._containers(spec.fingerprint):
                return self._started(container, adopted=True)  # by a submit a moment earlier
            raise
        return self._started(made, adopted=False)

    def status(self, handle: Handle) -> State:
        """Say how a container stands; see `Target.status`."""
        try:
            container = asked("to look", self.client.containers.get, handle.id)
        except NotFound:
            return State("failed", "its container was removed")
        if container.status in _LIVE:
            return State("queued" if container.status == "created" else "running")
        how = container.attrs["State"]
        code = int(how["ExitCode"])
        stage, said = _ENDS.get(code, ("failed", f"it ended with exit code {code}"))
        if how.get("OOMKilled"):
            said = "it was killed for its memory"
        return State(stage, said or how.get("Error", ""), code)

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a container's log, through lost connections; see `Target.logs`."""
        seen, failures = 0, 0
        while True:
            at = 0
            try:
                container = asked("its log", self.client.containers.get, handle.id)
                for line in _lines(container.logs(stream=True, follow=follow)):
                    at += 1
                    if at > seen:  # the engine sends a log from its beginning every time
                        seen, failures = at, 0
                        yield line
            except NotFound:
                raise TargetError(f"Container {handle.id} was removed with its log.") from None
            except (requests.RequestException, OSError) as error:
                failures += 1
                if failures > _RECONNECTS:
                    raise TargetError(
                        f"The log of container {handle.id} cannot be read "
                        f"({type(error).__name__}); the run itself goes on."
                    ) from None
                time.sleep(min(0.2 * 2**failures, 20.0))
            else:
                return

    def cancel(self, handle: Handle) -> None:
        """Ask a container to save and leave, and wait for it; see `Target.cancel`."""
        try:
            container = asked("to stop it", self.client.containers.get, handle.id)
            asked("to stop it", container.stop, timeout=_GRACE)
        except NotFound:
            return

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our containers by their label; see `Target.find`."""
        found = self._containers(fingerprint)
        return [self._handle(c) for c in found if ended or c.status in _LIVE]

    def leftovers(self) -> list[Leftover]:
        """Find our containers: those that run, and those that ended and keep their log.

        Nobody is billed for them. See `Target.leftovers`.
        """
        found = []
        for container in self._containers(None):
            handle, since = self._handle(container), _since(container)
            found.append(
                Leftover(self.name, "container", handle.id, handle.fingerprint, since, handle.url)
            )
        return found

    def remove(self, leftover: Leftover) -> None:
        """Stop a container, which saves, and delete it; see `Target.remove`."""
        self.cancel(Handle(self.name, leftover.id, leftover.url, leftover.fingerprint))
        try:
            self._remove(asked("to look", self.client.containers.get, leftover.id))
        except NotFound:
            return

    def _containers(self, fingerprint: str | None) -> list[Container]:
        label = f"{LABEL}={fingerprint}" if fingerprint else LABEL
        found: list[Container] = asked(
            "to list containers",
            self.client.containers.list,
            all=True,
            filters={"label": [label]},
            ignore_removed=True,
        )
        return sorted(found, key=_since, reverse=True)

    def _started(self, container: Container, adopted: bool) -> Handle:
        """Start a container, which does nothing to one that runs."""
        try:
            asked("to start the container", container.start)
        except TargetError:
            if not adopted:
                self._remove(container)
            raise
        return self._handle(container, adopted)

    def _remove(self, container: Container) -> None:
        try:
            asked("to remove the old container", container.remove)
        except NotFound:
            return

    def _options(self, spec: RunSpec) -> dict[str, Any]:
        info = asked("to tell about itself", self.client.info)
        for mount in spec.mounts:
            if mount.writable:
                mount.source.mkdir(parents=True, exist_ok=True)
            elif not mount.source.exists():  # some engines make a folder of what is missing
                raise TargetError(f"{mount.source}, which the run reads, is not there.")
        mounts = [
            Bind(m.place, str(m.source.resolve()), type="bind", read_only=not m.writable)
            for m in spec.mounts
        ]
        limit = ["timeout", "--foreground", f"--kill-after={_GRACE}", str(spec.timeout_s)]
        return {
            "name": f"polyid-{spec.fingerprint}",
            # it is PID 1, hands signals on, and ends the run in time though nobody looks on
            "entrypoint": limit,
            "command": list(spec.command),
            "labels": {**spec.labels, LABEL: spec.fingerprint},
            "mounts": mounts,
            "tmpfs": {HOME: "rw,mode=1777"},
            "working_dir": HOME,
            "read_only": True,
            "user": _user(info),
            "cap_drop": ["ALL"],
            # a system with SELinux refuses mounts from a home folder otherwise
            "security_opt": ["no-new-privileges", "label=disable"],
            "network_mode": _network() if spec.network else "none",
            "log_config": LogConfig(type=LogConfig.types.JSON),
            **docker_engine.gpu_options(info),
        }

    def _handle(self, container: Container, adopted: bool = False) -> Handle:
        mark = container.labels.get(LABEL, "")
        return Handle(self.name, container.id, f"container polyid-{mark}", mark, adopted)


def _since(container: Container) -> datetime:
    return datetime.fromisoformat(container.attrs["Created"])


def _user(info: dict[str, Any]) -> str:
    """Return who the container is, so that what it writes belongs to who asked for it.

    An engine without root calls its owner 0.
    """
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


def _network() -> str:
    return os.environ.get("POLYID_DOCKER_NETWORK", "bridge")


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
