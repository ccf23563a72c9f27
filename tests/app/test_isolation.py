"""What happens when a structure takes for ever, and when a worker or the service dies."""

import asyncio
import os
import signal
import threading

import pytest
import uvloop
from serve_kit import serving

from app.limits import Limits
from app.metrics import Metrics
from app.pool import Pool, Worker, WorkerDiedError
from app.problems import Problem
from app.schemas import Ask
from app.service import Served, Service

#: A hundred double bonds: m2p takes minutes to join six of these.
STUCK = {"smiles": "C=C" * 100, "kind": "monomers", "mechanism": "vinyl"}


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def fragile(served_registry, tmp_path_factory):
    cache = tmp_path_factory.mktemp("fragile")
    with serving(served_registry, cache, "--workers", "2", "--run-seconds", "4") as running:
        assert running.settled()["status"] == "ready"
        yield running


@pytest.mark.slow
def test_a_structure_that_takes_for_ever_gets_an_answer_and_others_do_too(fragile):
    answers = []
    client = threading.Thread(target=lambda: answers.append(fragile.post("/predict", json=STUCK)))
    client.start()
    while client.is_alive():
        fragile.predict("*CC(*)C")
        client.join(0.2)
    assert answers[0].status_code == 504, answers[0].text
    assert "took longer than 4 s" in answers[0].json()["detail"]
    again = fragile.post("/predict", json=STUCK)
    assert again.status_code == 504
    assert "not tried again" in again.json()["detail"]
    assert fragile.count('polyid_worker_events_total{event="slow"}') == 1
    fragile.until(lambda: fragile.health()["workers"], lambda alive: alive == 2)


@pytest.mark.slow
def test_killed_workers_are_replaced(fragile):
    fragile.until(lambda: fragile.health()["workers"], lambda alive: alive == 2)
    before = fragile.workers()
    known = fragile.predict("*CC(*)CC")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    # nobody has noticed yet: this question meets the dead ones, and gets its answer all the same
    answer = fragile.post("/predict", json={"smiles": "*CC(*)CCCCC"})
    assert answer.status_code in (200, 422, 503)
    fragile.until(lambda: fragile.health()["workers"], lambda alive: alive == 2)
    assert not set(before) & set(fragile.workers())
    assert fragile.predict(" *CC(*)CC")["properties"] == known["properties"]


@pytest.mark.slow
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_question_is_blamed_for_a_worker_that_died_idle(model_folder, loop):
    events = []

    async def scene():
        pool = Pool(1, events.append)
        await pool.load(str(model_folder))
        (worker,) = pool._workers
        worker.process.kill()
        await worker.process.wait()
        with pytest.raises(WorkerDiedError):  # the pipe is closed: not whatever the loop raises
            await worker.ask({"do": "predict"}, 60)
        message = {"do": "predict", "smiles": "*CC*", "monomers": None, "mechanism": None}
        found = await pool.run(message | {"pm": None, "kind": "auto", "atoms": 999}, None, 60)
        await pool.close()
        return found

    with asyncio.Runner(loop_factory=loop) as runner:
        assert "answer" in runner.run(scene())
    assert events == ["died", "started"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_service(served_registry, tmp_path, how):
    with serving(served_registry, tmp_path) as running:
        running.settled()
        workers = running.workers()
        assert workers
        running.process.send_signal(how)
        running.process.wait(60)
        for pid in workers:
            waited = threading.Event()
            for _ in range(600):
                if gone(pid):
                    break
                waited.wait(0.1)
            assert gone(pid)


@pytest.mark.slow
def test_a_worker_is_told_how_many_share_the_cores(model_folder, monkeypatch):
    told = []
    real = Worker.ask

    async def ask(worker, message, seconds):
        told.append(message.get("at_once"))
        return await real(worker, message, seconds)

    async def scene():
        pool = Pool(2)
        await pool.load(str(model_folder))
        monkeypatch.setattr(Worker, "ask", ask)
        message = {"do": "predict", "smiles": "*CC*", "monomers": None, "mechanism": None}
        message |= {"pm": None, "kind": "auto", "atoms": 999}
        alone = await pool.run(message, None, 60)
        beside = await asyncio.gather(*(pool.run(message, None, 60) for _ in range(2)))
        after = await pool.run(message, None, 60)
        await pool.close()
        return [alone, *beside, after]

    answers = asyncio.run(scene())
    assert told == [1, 1, 2, 1]
    assert all(answer["answer"] == answers[0]["answer"] for answer in answers)


@pytest.mark.slow
def test_too_many_at_once_are_turned_away(model_folder):
    limits = Limits(wait_seconds=0.2, run_seconds=60, waiting=2, batches=1)

    async def scene():
        pool = Pool(1)
        service = Service(pool, limits, Metrics())
        with pytest.raises(Problem, match="No model is loaded"):
            await service.predict(Ask(smiles="*CC*"))
        about = await pool.load(str(model_folder))
        identity = dict.fromkeys(("tag", "revision", "hub_commit", "fingerprint"))
        service.serve(Served(identity, about, 0.9))
        running = asyncio.create_task(service.predict(Ask(**STUCK)))
        await asyncio.sleep(0)  # let it begin
        waits = asyncio.create_task(service.predict(Ask(smiles="*CC*")))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="2 predictions are waiting") as many:
            await service.predict(Ask(smiles="*CCC*"))
        with pytest.raises(Problem, match="No worker became free") as busy:
            await waits
        assert many.value.code == busy.value.code == "busy"
        assert service.begin_batch()
        assert not service.begin_batch()
        running.cancel()
        await pool.close()

    asyncio.run(scene())
