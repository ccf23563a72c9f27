"""Runs as Hugging Face Jobs: rented by the minute, stopped by a timeout, found by a label."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from huggingface_hub import HfApi, JobHardwareInfo, JobInfo
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from polyid.hub_errors import HubError, explained
from trainer.targets.base import LABEL, Handle, Leftover, RunSpec, Stage, State, TargetError
from trainer.targets.secret import secret

_STAGES: dict[str, Stage] = {
    "SCHEDULING": "queued",
    "RUNNING": "running",
    "COMPLETED": "done",
    "ERROR": "failed",
    "CANCELED": "cancelled",
    "DELETED": "cancelled",
}
_LIVE = ["SCHEDULING", "RUNNING"]
#: How often a log stream that broke is opened anew without a new line coming.
_RECONNECTS = 8


class HubJobs:
    """Jobs of a namespace on the Hub.

    Parameters
    ----------
    namespace : str, optional
        Who pays; by default the token's owner.
    """

    name = "hf-jobs"

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace

    def submit(self, spec: RunSpec) -> Handle:
        """Rent a machine for a run, or adopt the job that has it; see `Target.submit`."""
        if live := self._one(spec.fingerprint):
            return _adopted(live)
        secrets = {name: secret(name) for name in spec.secrets}
        try:
            with explained(self._place, "starting a job"):
                job = HfApi().run_job(
                    image=spec.image,
                    command=list(spec.command),
                    env=dict(spec.env),
                    secrets=secrets or None,
                    flavor=spec.flavor or None,
                    timeout=spec.timeout_s,
                    labels={**spec.labels, LABEL: spec.fingerprint},
                    namespace=self.namespace,
                )
        except HubError as error:
            if error.status == 402:
                raise TargetError(
                    f"{error} Nothing was started. Buy credit in the billing settings on the Hub, "
                    "or give --target local, then run the same command again."
                ) from None
            # it may have been carried out although the answer was lost
            if error.unanswered and (live := self._one(spec.fingerprint)):
                return _adopted(live)
            raise
        # two that ask at once both find nothing and both start: each then keeps the elder
        live = self._one(spec.fingerprint)
        return _handle(job) if live is None or live.id == job.id else _adopted(live)

    def status(self, handle: Handle) -> State:
        """Say how a job stands; see `Target.status`."""
        with explained(self._place, f"looking at job {handle.id}"):
            job = HfApi().inspect_job(job_id=handle.id, namespace=self.namespace)
        stage = _STAGES.get(str(job.status.stage), "failed")
        return State(stage, job.status.message or "", 0 if stage == "done" else None)

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a job's log, through lost connections; see `Target.logs`."""
        seen, failures = 0, 0
        while True:
            at = 0
            try:
                for line in HfApi().fetch_job_logs(
                    job_id=handle.id, namespace=self.namespace, follow=follow
                ):
                    at += 1
                    if at > seen:  # the Hub sends a log from its beginning every time
                        seen, failures = at, 0
                        yield line.rstrip("\n")
            except (HfHubHTTPError, httpx.HTTPError) as error:
                failures += 1
                if failures > _RECONNECTS:
                    raise TargetError(
                        f"The log of job {handle.id} cannot be read ({type(error).__name__}); the "
                        f"job itself goes on. Read it at {handle.url}, or with `hf jobs logs "
                        f"{handle.id}`."
                    ) from None
                time.sleep(min(0.2 * 2**failures, 20.0))
            else:
                return

    def cancel(self, handle: Handle) -> None:
        """Stop a job; see `Target.cancel`."""
        with explained(self._place, f"cancelling job {handle.id}"):
            HfApi().cancel_job(job_id=handle.id, namespace=self.namespace)

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find our jobs by their label; see `Target.find`."""
        return [_handle(job) for job in self._jobs(fingerprint, ended=ended)]

    def leftovers(self) -> list[Leftover]:
        """Find all jobs of ours that are live; see `Target.leftovers`."""
        live = sorted(self._jobs(), key=_age)
        if not live:
            return []
        with explained("jobs/hardware", "asking for prices"):
            hourly = {row.name: _hourly(row) for row in HfApi().list_jobs_hardware()}
        found: list[Leftover] = []
        for job in live:
            handle = _handle(job)
            since, started = job.started_at or job.created_at, job.started_at is not None
            # while it waits for a machine it is not billed
            price = hourly.get(str(job.flavor)) if started else 0.0
            spare = any(other.fingerprint == handle.fingerprint for other in found)
            found.append(
                Leftover(
                    self.name, "job", job.id, handle.fingerprint, since or datetime.now(UTC),
                    job.url, str(job.flavor or ""), price, spare,
                )
            )  # fmt: skip
        return found

    def remove(self, leftover: Leftover) -> None:
        """Cancel a job; see `Target.remove`."""
        self.cancel(Handle(self.name, leftover.id, leftover.url, leftover.fingerprint))

    def _one(self, fingerprint: str) -> Handle | None:
        """Return the eldest live job of a fingerprint, after cancelling all others."""
        live = sorted(self._jobs(fingerprint), key=_age)
        for job in live[1:]:
            self.cancel(_handle(job))
        return _handle(live[0]) if live else None

    def _jobs(self, fingerprint: str | None = None, *, ended: bool = False) -> list[JobInfo]:
        labels = {LABEL: fingerprint} if fingerprint else None
        with explained(self._place, "listing jobs"):
            jobs = HfApi().list_jobs(
                status=None if ended else list(_LIVE), labels=labels, namespace=self.namespace
            )
            return [job for job in jobs if LABEL in (job.labels or {})]

    @property
    def _place(self) -> str:
        return f"{self.namespace or 'the token’s owner'} (jobs)"


def _handle(job: JobInfo) -> Handle:
    labels: dict[str, Any] = job.labels or {}
    return Handle(HubJobs.name, job.id, job.url, str(labels.get(LABEL, "")))


def _age(job: JobInfo) -> tuple[datetime, str]:
    """Order jobs from the eldest on, the same way for everybody who asks."""
    return job.created_at or datetime.max.replace(tzinfo=UTC), job.id


def _hourly(row: JobHardwareInfo) -> float | None:
    per_hour = {"minute": 60, "hour": 1, "second": 3600}.get(row.unit_label)
    return None if per_hour is None else row.unit_cost_usd * per_hour


def _adopted(live: Handle) -> Handle:
    return Handle(live.target, live.id, live.url, live.fingerprint, adopted=True)
