"""Runs on pods of RunPod: rented by the minute, found by their name, given back at the end.

A pod is a machine and no job: it knows neither "done" nor an exit code. What runs in it is
``trainer pod`` (see `trainer.pod`), which leaves a note on the Hub and then gives the pod back.
What is rented is on demand; RunPod has no interruptible pods any more.
"""

import os
import re
import shlex
import time
from collections.abc import Iterator
from typing import Any

from polyid.errors import PolyIDError
from trainer import endnote
from trainer.endnote import EndNote
from trainer.targets.base import MARK, Handle, Leftover, RunSpec, State, TargetError
from trainer.targets.runpod_api import Client, Pod, RunPodError
from trainer.targets.runpod_stock import candidates
from trainer.targets.secret import secret

#: Variables of a pod, beside its mark.
REGISTRY, UNTIL = "POLYID_REGISTRY", "POLYID_UNTIL"
_NAME = re.compile(r"polyid-([0-9a-f]{16})")
_HUB = "hf://"
_LIVE = ("PROVISIONING", "STARTING", "RUNNING")
_DISK_GB = 40
#: Lowest CUDA version of a host on which the image's libraries run.
_CUDA = "12.4"
#: Seconds after which a pod whose rental was not answered must have shown up in the list.
_APPEARS_S = (0.5, 2.0, 5.0)
_CREATES = 3
#: Seconds without a new line of the log after which is asked whether the pod still runs.
_IDLE_S = 10.0
#: Seconds between the end of a log's stream and the next one: requests are counted.
_PACE_S = 1.0
_RECONNECTS = 8


class RunPod:
    """Pods of an account.

    Parameters
    ----------
    registry : str, optional
        Where the runs' notes are, ``hf://namespace/name``; needed to start a run, and to know of
        one whose pod is gone.
    """

    name = "runpod"

    def __init__(self, registry: str | None = None) -> None:
        self.api = Client()
        self.registry = registry if registry and registry.startswith(_HUB) else None

    def submit(self, spec: RunSpec) -> Handle:
        """Rent a pod for a run, or adopt the one that has it; see `Target.submit`."""
        if live := self._one(spec.fingerprint):
            return _handle(live, adopted=True)
        body = self._body(spec)
        choices = candidates(spec.flavor, self.api.gpus())
        for index, gpu in enumerate(choices):
            try:
                made = self._create(
                    {**body, "gpu": {"id": gpu, "count": 1, "minCudaVersion": _CUDA}}
                )
            except RunPodError as error:
                # no capacity, or a pool that this account may not use
                if error.status not in (400, 403):
                    raise
                if index + 1 == len(choices):
                    raise TargetError(
                        f"No pod could be rented; tried {', '.join(choices)}. The last answer: "
                        f"{error} If all are refused alike, the request is at fault and not the "
                        "stock."
                    ) from None
                continue
            # two that ask at once both find nothing and both rent: each then keeps the elder
            kept = self._one(spec.fingerprint) or made
            return _handle(kept, adopted=kept.id != made.id)
        raise AssertionError

    def status(self, handle: Handle) -> State:
        """Say how a run stands; one that has ended gives its pod back. See `Target.status`."""
        pod = self.api.pod(handle.id)
        if pod and pod.status in ("PROVISIONING", "STARTING"):
            return State("queued", _bill(pod))
        note = self._note(handle.fingerprint, handle.id, pod)
        if pod and pod.status == "RUNNING" and note is None:
            return State("running", _bill(pod))
        if pod:
            self.api.terminate(pod.id)
        if note:
            return _ended(note)
        if pod and pod.status == "EXITED":
            return State("cancelled", "its pod was stopped from outside")
        what = "its host failed" if pod else "its pod is gone"
        return State("failed", f"{what}, and it left no word of how it ended", lost=True)

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a run's log: the pod's as long as it stands, then the kept one.

        See `Target.logs`.
        """
        seen, failures, last = 0, 0, ""
        while True:
            try:
                for line in self.api.log(handle.id, last, _IDLE_S if follow else 1.0):
                    last, failures, seen = line.id, 0, seen + 1
                    yield line.text
            except RunPodError as error:
                failures += error.status != 404
                if failures > _RECONNECTS:
                    raise TargetError(
                        f"{error} The run itself goes on; its log is at {handle.url}."
                    ) from None
                time.sleep(min(0.2 * 2**failures, 20.0))
            if follow:
                time.sleep(_PACE_S)
                ended = self.status(handle).ended
            else:
                ended = self.api.pod(handle.id) is None
            if ended and (repo := self._repo(None)):
                note = endnote.read(repo, handle.fingerprint)
                if note and note.machine == handle.id:
                    yield from endnote.read_log(repo, handle.fingerprint)[seen:]
            if ended or not follow:
                return

    def cancel(self, handle: Handle) -> None:
        """Give a pod back, and note on the Hub that this was wanted; see `Target.cancel`."""
        pod = self.api.pod(handle.id)
        if pod is None:
            return
        try:
            repo = self._repo(pod)
            if repo and self._note(handle.fingerprint, pod.id, pod) is None:
                # without it whoever follows the run takes the pod for lost, and rents the next
                seconds = time.time() - pod.created.timestamp()
                note = EndNote(pod.id, 143, seconds, pod.usd_per_hour, cancelled=True)
                endnote.write(repo, handle.fingerprint, note)
        except PolyIDError as error:
            raise TargetError(
                f"Pod {pod.id} is given back, but that this was wanted could not be noted: {error} "
                "Whoever follows the run may rent another: run the same command again."
            ) from None
        finally:
            self.api.terminate(pod.id)

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our pods by their name; see `Target.find`."""
        pods = sorted(self._pods(fingerprint), key=_age, reverse=True)
        found = [_handle(pod) for pod in pods if ended or pod.status in _LIVE]
        repo = self._repo(None)
        if not (ended and fingerprint and repo):
            return found
        note = endnote.read(repo, fingerprint)
        if note and note.machine not in [handle.id for handle in found]:
            found.append(Handle(self.name, note.machine, _url(note.machine), fingerprint))
        return found

    def leftovers(self) -> list[Leftover]:
        """Find all pods of ours, also those that have stopped; see `Target.leftovers`."""
        found: list[Leftover] = []
        live: set[str] = set()
        for pod in sorted(self._pods(), key=_age):
            handle = _handle(pod)
            over = pod.status not in _LIVE or float(pod.marks.get(UNTIL, "inf")) < time.time()
            found.append(
                Leftover(
                    self.name,
                    "pod",
                    pod.id,
                    handle.fingerprint,
                    pod.created,
                    handle.url,
                    pod.gpu,
                    pod.usd_per_hour,
                    spare=over or handle.fingerprint in live,
                )
            )
            live |= set() if over else {handle.fingerprint}
        return found

    def remove(self, leftover: Leftover) -> None:
        """Give a pod back; see `Target.remove`."""
        self.cancel(Handle(self.name, leftover.id, leftover.url, leftover.fingerprint))

    def _one(self, fingerprint: str) -> Pod | None:
        """Return the eldest pod in which a run goes on, after giving all others of it back."""
        kept = None
        for pod in sorted(self._pods(fingerprint), key=_age):
            live = pod.status in _LIVE and self._note(fingerprint, pod.id, pod) is None
            if live and kept is None:
                kept = pod
            else:
                self.api.terminate(pod.id)
        return kept

    def _create(self, body: dict[str, Any]) -> Pod:
        """Rent a pod; where no answer comes, look first whether it was rented."""
        for attempt in range(1, _CREATES + 1):
            try:
                return self.api.create(body)
            except RunPodError as error:
                if not error.unanswered:
                    raise
                for pause in _APPEARS_S:
                    time.sleep(pause)
                    if kept := self._one(body["env"][MARK]):
                        return kept
                if attempt == _CREATES:
                    raise
        raise AssertionError

    def _body(self, spec: RunSpec) -> dict[str, Any]:
        if self.registry is None:
            raise TargetError(
                "--registry: a pod keeps nothing, so that a run on RunPod needs a registry on the "
                "Hub, hf://namespace/name. Give it, or --target local."
            )
        env = {
            **spec.env,
            **{name: _passed(name) for name in spec.secrets},
            MARK: spec.fingerprint,
            REGISTRY: self.registry,
            UNTIL: str(int(time.time()) + spec.timeout_s),
        }
        login = os.environ.get("RUNPOD_REGISTRY_ID")
        return {
            "name": f"polyid-{spec.fingerprint}",
            "image": spec.image,
            "args": shlex.join(("pod", "--", *spec.command)),
            "env": env,
            "disk": _DISK_GB,
            "cloud": "SECURE",
            **({"registry": login} if login else {}),
        }

    def _pods(self, fingerprint: str | None = None) -> list[Pod]:
        return [
            pod
            for pod in self.api.pods()
            if (named := _NAME.fullmatch(pod.name)) and fingerprint in (None, named[1])
        ]

    def _repo(self, pod: Pod | None) -> str | None:
        address = self.registry or (pod.marks.get(REGISTRY) if pod else None)
        return address.removeprefix(_HUB) if address else None

    def _note(self, fingerprint: str, number: str, pod: Pod | None) -> EndNote | None:
        """Return how the run in a pod ended, if it left word of it."""
        repo = self._repo(pod)
        if repo is None or (pod and pod.status == "PROVISIONING"):
            return None
        note = endnote.read(repo, fingerprint)
        return note if note and note.machine == number else None


def _passed(name: str) -> str:
    """Return a secret's value, or the reference to where RunPod keeps it."""
    kept = os.environ.get(f"RUNPOD_SECRET_{name}")
    return f"{{{{ RUNPOD_SECRET_{kept} }}}}" if kept else secret(name)


def _handle(pod: Pod, *, adopted: bool = False) -> Handle:
    named = _NAME.fullmatch(pod.name)
    return Handle(RunPod.name, pod.id, _url(pod.id), named[1] if named else "", adopted)


def _url(number: str) -> str:
    return f"https://console.runpod.io/pods?id={number}"


def _age(pod: Pod) -> tuple[Any, str]:
    """Order pods from the eldest on, the same way for everybody who asks."""
    return pod.created, pod.id


def _bill(pod: Pod) -> str:
    hours = (time.time() - pod.created.timestamp()) / 3600
    return f"{pod.gpu}, {_spent(hours, pod.usd_per_hour)}"


def _spent(hours: float, usd_per_hour: float) -> str:
    return f"{hours:.2f} h at {usd_per_hour:g} $/h: {hours * usd_per_hour:.2f} $"


def _ended(note: EndNote) -> State:
    bill = "" if note.usd_per_hour is None else _spent(note.seconds / 3600, note.usd_per_hour)
    if note.cancelled:
        return State("cancelled", f"it was stopped; {bill}".strip("; "), note.exit_code)
    if note.exit_code == 0:
        return State("done", bill, 0)
    text = "timeout" if note.exit_code == 124 else f"it ended with exit code {note.exit_code}"
    return State("failed", f"{text}; {bill}".strip("; "), note.exit_code)
