"""Runs as Hugging Face Jobs: rented by the minute, stopped by a timeout, found by a label."""

import os
import time
from collections.abc import Iterator
from typing import Any

from huggingface_hub import HfApi, JobInfo, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from polyid.hub_errors import HubError, explained
from trainer.targets.base import LABEL, Handle, RunSpec, Stage, State, TargetError

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
        if live := self.find(spec.fingerprint):
            return _adopted(live[0])
        secrets = {name: _secret(name) for name in spec.secrets}
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
            if error.unanswered and (live := self.find(spec.fingerprint)):
                return _adopted(live[0])
            raise
        return _handle(job)

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
        labels = {LABEL: fingerprint} if fingerprint else None
        with explained(self._place, "listing jobs"):
            jobs = HfApi().list_jobs(
                status=None if ended else list(_LIVE), labels=labels, namespace=self.namespace
            )
            return [_handle(job) for job in jobs if LABEL in (job.labels or {})]

    @property
    def _place(self) -> str:
        return f"{self.namespace or 'the token’s owner'} (jobs)"


def _handle(job: JobInfo) -> Handle:
    labels: dict[str, Any] = job.labels or {}
    return Handle(HubJobs.name, job.id, job.url, str(labels.get(LABEL, "")))


def _adopted(live: Handle) -> Handle:
    return Handle(live.target, live.id, live.url, live.fingerprint, adopted=True)


def _secret(name: str) -> str:
    """Read a secret; the token may be the one that `hf auth login` keeps."""
    value = os.environ.get(name) or (get_token() if name == "HF_TOKEN" else None)
    if not value:
        raise TargetError(
            f"The run needs the secret {name}, and this environment has none: `export {name}=...` "
            "(or `hf auth login`), then run the same command again."
        )
    return value
