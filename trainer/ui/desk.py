"""One run at a time: start it, see it, stop it, go on with it, and say how it ended.

The run is a process of its own (`trainer.targets.local`), so it outlives this page where the
machine does; where it does not, `Desk.recover` goes on with it from its newest checkpoint.
"""

import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock

from polyid.errors import PolyIDError
from polyid.hub_errors import HubError, without_secrets
from trainer import space_hardware
from trainer.conduct import NOTHING, Conduct, Wanted, as_options, conduct_of
from trainer.costs.foreseen import VARIABLE, as_variable
from trainer.plan import Plan
from trainer.registry import open_registry
from trainer.targets import Handle, RunSpec
from trainer.targets.local import LocalTarget
from trainer.training.worker import INTERRUPTED
from trainer.ui.choices import Chosen
from trainer.ui.expected import expect
from trainer.ui.orders import Order, Orders, Outcome, now

Standing = Literal["idle", "running", "stopping", "ending", "done", "failed", "stopped"]
#: Lines of a log that a reader is shown.
_TAIL, _TAIL_BYTES = 200, 60_000


class DeskError(PolyIDError):
    """It cannot be started, stopped or gone on with now."""


class Seen(NamedTuple):
    """How things stand, read from disk."""

    standing: Standing
    order: Order | None
    outcome: Outcome | None

    @property
    def busy(self) -> bool:
        """Whether a run is going on."""
        return self.standing in ("running", "stopping", "ending")


class Desk:
    """The one run of this machine.

    Parameters
    ----------
    work
        Folder of all runs.
    registry
        Where candidates go.
    space
        The Space in which this runs; None elsewhere.
    timeout_s
        A run is stopped after so many seconds.
    wanted
        Where checkpoints are kept besides the work folder; a recipe may say more.
    """

    def __init__(
        self,
        work: Path,
        registry: str,
        space: str | None,
        timeout_s: int,
        wanted: Wanted = NOTHING,
    ) -> None:
        self.work, self.registry, self.wanted = work, registry, wanted
        self.space, self.timeout_s = space, timeout_s
        self.orders = Orders(work)
        self.target = LocalTarget(work)

    def see(self) -> Seen:
        """Say how things stand."""
        order, outcome = self.orders.order(), self.orders.outcome()
        if order is None:
            return Seen("idle", None, None)
        if self.target.find(order.fingerprint):
            stopping = bool(self.orders.stop_asked())
            return Seen("stopping" if stopping else "running", order, None)
        return Seen(outcome.stage if outcome else "ending", order, outcome)

    def require_rights(self) -> None:
        """Check that the end of a run will be allowed: the upload, and giving hardware back.

        Raises
        ------
        PolyIDError
            If it will not.
        """
        open_registry(self.registry).require_writable()
        if self.space is not None:
            space_hardware.require_control(self.space)

    def start(self, chosen: Chosen, by: str) -> Order:
        """Start a run.

        Raises
        ------
        PolyIDError
            If another is going on, the data do not keep the contract, or a right is missing.
        """
        plan = chosen.plan
        if not chosen.report.ok:
            raise DeskError(
                f"{plan.data.name} has {len(chosen.report.errors)} errors: nothing is started."
            )
        self.require_rights()
        keeping = as_options(self.conduct(plan))
        estimate = as_variable(expect(plan, self.space).estimate)[VARIABLE]
        order = Order(
            plan.fingerprint,
            plan.params.recipe,
            str(plan.data.resolve()),
            str(self.orders.params.resolve()),
            str(chosen.gates.resolve()),
            by,
            now(),
            plan.params.training.epochs,
            plan.params.folds.count,
            tuple(plan.properties),
            keeping=tuple(keeping),
            estimate=estimate,
        )
        return self._begin(order, chosen.staged)

    def conduct(self, plan: Plan) -> Conduct:
        """Say where a run's checkpoints are kept besides the work folder.

        In a Space, whose disk goes with its container, that is the registry's repository, unless
        something else is wanted.
        """
        wanted, said = self.wanted, plan.params.conduct.checkpoints
        if wanted.checkpoints is None and said is None and self.space is not None:
            on_hub = self.registry.startswith("hf://")
            wanted = wanted._replace(checkpoints=self.registry if on_hub else None)
        return conduct_of(plan.params, wanted)

    def start_dispatched(self, order: Order) -> Order:
        """Start a run whose inputs are on the Hub; see `start`."""
        self.require_rights()
        return self._begin(order, None)

    def resume(self, by: str) -> Order:
        """Go on with the run that was stopped or failed.

        Raises
        ------
        PolyIDError
            If there is none, or a right is missing.
        """
        seen = self.see()
        if seen.order is None or seen.standing not in ("stopped", "failed"):
            raise DeskError(f"There is no run to go on with: it is {seen.standing}.")
        self.require_rights()
        return self._begin(replace(seen.order, by=by, at=now()), None)

    def stop(self, by: str) -> None:
        """Ask the run to save and leave; it may take the rest of a step."""
        seen = self.see()
        if seen.standing == "stopping":
            return
        if seen.order is None or seen.standing != "running":
            raise DeskError(f"There is no run to stop: it is {seen.standing}.")
        self.orders.ask_stop(by)
        handle = self._handle(seen.order)
        threading.Thread(target=self.target.cancel, args=(handle,), daemon=True).start()

    def leave(self, patience_s: float) -> None:
        """Let the run save before the machine goes: `recover` goes on with it afterwards."""
        seen = self.see()
        if seen.order is not None and seen.busy:
            handle = self._handle(seen.order)
            saving = threading.Thread(target=self.target.cancel, args=(handle,), daemon=True)
            saving.start()
            saving.join(patience_s)

    def recover(self) -> bool:
        """Go on with a run that was killed together with its machine, and say whether there was."""
        seen = self.see()
        if seen.order is None or seen.standing != "ending":
            return False
        state = self.target.status(self._handle(seen.order))
        cut_off = state.exit_code in (None, INTERRUPTED) or state.stage == "cancelled"
        if not cut_off or self.orders.stop_asked():
            return False  # it ended by itself or because it was asked to, and is settled
        self._begin(seen.order, None)
        return True

    def settle(self) -> tuple[Order, Outcome] | None:
        """Note how a run ended, once it has; return what was not there before."""
        with self._lock():
            seen = self.see()
            if seen.order is None or seen.standing != "ending":
                return None
            outcome = self._outcome(seen.order)
            self.orders.end(outcome)
            return seen.order, outcome

    def log(self, order: Order) -> list[str]:
        """Return the last lines of a run's log."""
        path = self.target.root / order.fingerprint / "log.txt"
        size = path.stat().st_size if path.is_file() else 0
        lines, _ = self.log_from(order, max(0, size - _TAIL_BYTES))
        return lines[-_TAIL:]

    def log_from(self, order: Order, at: int) -> tuple[list[str], int]:
        """Return the whole lines of a run's log from a place on, and where they end."""
        path = self.target.root / order.fingerprint / "log.txt"
        if not path.is_file():
            return [], at
        with path.open("rb") as log:
            log.seek(at)
            content = log.read()
        whole = content[: content.rfind(b"\n") + 1]
        text = whole.decode(errors="replace")
        return [without_secrets(line) for line in text.splitlines()], at + len(whole)

    def _begin(self, order: Order, recipe: Path | None) -> Order:
        with self._lock():
            seen = self.see()
            if seen.busy and not (seen.standing == "ending" and seen.order == order):
                assert seen.order is not None
                raise DeskError(
                    f"Run {seen.order.fingerprint} is going on, started by {seen.order.by}: one "
                    "at a time. Wait for it, or stop it first."
                )
            if recipe is not None:
                self.orders.folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(recipe, self.orders.params)
            self.orders.begin(order)
            self.target.submit(
                RunSpec(
                    order.fingerprint,
                    self._command(order),
                    timeout_s=order.seconds or self.timeout_s,
                    env={VARIABLE: order.estimate} if order.estimate else {},
                )
            )
            return order

    def _command(self, order: Order) -> tuple[str, ...]:
        trainer = (sys.executable, "-m", "trainer.cli")
        work = ("--work", str(self.work.resolve()))
        if order.command:
            return (*trainer, *order.command[1:], *work)
        asked = ("--data", order.data, "--params", order.params, "--gates", order.gates)
        return (*trainer, "job", *asked, "--registry", self.registry, *order.keeping, *work)

    def _outcome(self, order: Order) -> Outcome:
        state = self.target.status(self._handle(order))
        if state.stage == "done":
            try:
                candidate = open_registry(self.registry).candidate(order.fingerprint)
            except HubError as error:
                if error.unanswered:
                    raise  # asked again
                return Outcome("failed", str(error), at=now())
            except PolyIDError as error:
                return Outcome("failed", str(error), at=now())
            reasons = tuple(str(r) for r in (candidate.gate or {}).get("reasons", []))
            return Outcome(
                "done", "The candidate is stored.", candidate.verdict, reasons, candidate.address,
                now(),
            )  # fmt: skip
        by = self.orders.stop_asked()
        if by or state.stage == "cancelled" or state.exit_code == INTERRUPTED:
            message = f"Stopped by {by or 'a signal'}; what was trained is kept."
            return Outcome("stopped", message, at=now())
        said = [line.strip() for line in self.log(order) if line.strip()]
        at = next((i for i, line in enumerate(said) if line.startswith("Error:")), len(said) - 1)
        message = " ".join(said[at:])[:1000] if said else ""
        return Outcome("failed", message or state.message or "It ended without a word.", at=now())

    def _handle(self, order: Order) -> Handle:
        name = order.fingerprint
        return Handle(self.target.name, name, str(self.target.root / name), name)

    def _lock(self) -> FileLock:
        self.orders.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.orders.folder / ".lock", timeout=30)
