"""The training page as people meet it: a real browser, a real Space's process, the test Hub."""

import os
import signal
from pathlib import Path

import pytest
from browser_kit import NEEDS_CHROMIUM
from browser_kit import chromium as started_chromium
from hub_kit import Hub
from road_kit import Road, wait_for
from ui_kit import PATIENCE, Visitor, page_command, training_space

pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # a minute and a half where the machine has nothing else to do
    pytest.mark.usefixtures("hub_home"),
]


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as started:
        yield started


def test_from_click_to_uploaded_candidate_and_paused_space(hub: Hub, fresh: Road, chromium) -> None:
    repo = hub.name("model")
    with training_space(hub, page_command(fresh, f"hf://{repo}", "--linger", "5")) as space:
        ann = Visitor(chromium, space.url).open("Ann")
        assert "48 rows, 0 errors" in ann.see("#plan .check")
        ann.choose_epochs(30)
        other = ann.page.locator("#plan code").first.inner_text()
        ann.choose_epochs(60)
        mark = ann.page.locator("#plan code").first.inner_text()
        assert mark != other  # another choice is another run
        told = ann.see("#plan dl.facts")
        assert "t4-small (T4), $0.40 an hour" in told
        assert "Expected time" in told
        assert f"also at hf://{repo}" in told
        ann.shot("start")
        ann.click("Start")
        ann.see("#run .state.running")
        assert not ann.shows("#choice")  # one run at a time

        bob = Visitor(chromium, space.url, width=375).open("Bob")
        assert f"{mark}, recipe tiny" in bob.see("#run dl.facts", "by Ann")
        assert not bob.shows("#choice")
        assert bob.shows("#stop")

        ann.see("#run figure.loss svg")
        ann.page.reload()
        ann.see("#run figure.loss svg")
        assert "recipe tiny" in ann.see("#run dl.facts")
        assert ann.see("#run table.folds")
        ann.shot("middle")
        bob.see("#run figure.loss svg")
        bob.shot("middle-phone")
        assert not bob.overflows()

        said = ann.see("#run .outcome.done")
        assert "The gate passed" in said
        link = ann.page.get_by_role("link", name="Candidate on the Hub").get_attribute("href")
        assert link == f"{hub.endpoint}/{repo}/tree/candidate/{mark}"
        ann.shot("end")
        assert ann.foreign | bob.foreign == set()  # nothing is loaded from anywhere else

        space.until("PAUSED")
        assert f"refs/heads/candidate/{mark}" in hub.refs(repo)
        assert hub.owner_token not in space.log
        ann.context.close()
        bob.context.close()


def test_stop_resume_restart_error_and_downgrade(hub: Hub, fresh: Road, chromium) -> None:
    repo = hub.name("model")
    command = page_command(fresh, f"hf://{repo}", "--after", "downgrade", "--linger", "1")
    with training_space(hub, command) as space:
        ann = Visitor(chromium, space.url).open("Ann")
        mark = ann.see("#plan dl.facts code")
        ann.click("Start")
        held = frozen(fresh)  # whatever the machine's load, it stands still while it is looked at
        ann.see("#run figure.loss svg")
        ann.click("Stop")
        ann.see("#run .state.stopping")
        thaw(held)
        assert "Stopped by Ann" in ann.see("#run .outcome.stopped")
        ann.shot("stopped")
        assert space.hardware == "t4-small"  # a person may want to go on

        ann.click("Resume")
        frozen(fresh, "Resuming fold")  # not before the slower process has said so
        ann.see("#run details", "Resuming fold")
        ann.see("#run .state.running", "Training")

        # the container goes, and all that was in it; the work folder stays, as on a volume
        hub.api().restart_space(space.name)
        wait_for(lambda: "cut off" in space.log, PATIENCE, 0.5)
        space.until("RUNNING")
        held = frozen(fresh)
        ann.open()  # the cookie is still good: it is signed with what the Space's secrets say
        assert "by Ann" in ann.see("#run dl.facts")
        ann.see("#run .state.running", "Training")
        assert ann.shows("#run figure.loss svg")

        # a worker dies: the error is shown, and the paid hardware goes back all the same
        for pid in held:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: space.hardware == "cpu-basic", PATIENCE, 0.3)
        space.until("RUNNING")
        ann.open()
        assert "killed, perhaps for memory" in ann.see("#run .outcome.failed")
        ann.shot("failed")
        assert ann.shows("#resume")
        assert hub.refs(repo).keys() - {f"refs/heads/checkpoints/{mark}"} == {"refs/heads/main"}


def test_with_a_wrong_token_nothing_starts_and_the_missing_right_is_told(
    hub: Hub, fresh: Road, chromium
) -> None:
    repo = hub.name("model")
    hub.api().create_repo(repo, private=True)
    reader = hub.token("reader", "read")
    with training_space(hub, page_command(fresh, f"hf://{repo}"), token=reader) as space:
        ann = Visitor(chromium, space.url).open("Ann")
        ann.see("#plan .check")
        ann.click("Start")
        assert "write access" in ann.see("#notice .trouble").lower()
        ann.shot("wrong-token")
        assert ann.shows("#start")  # another try is possible
        assert "No run has been started" in ann.see("#run")
        assert reader not in space.log + ann.page.content()
        assert not list(fresh.work.glob("targets/*"))
        ann.context.close()


def frozen(road: Road, said: str = "") -> list[int]:
    """Wait until some epochs more are done and the log says so, then halt the workers."""
    before = count_epochs(road)
    (log,) = road.work.glob("targets/*/log.txt") if said else (Path(os.devnull),)
    wait_for(lambda: count_epochs(road) >= before + 4 and said in log.read_text(), PATIENCE)
    found = workers(road)
    assert found
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    return found


def thaw(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def count_epochs(road: Road) -> int:
    return sum(p.read_text().count("\n") for p in road.work.glob("*/epochs.jsonl"))


def workers(road: Road) -> list[int]:
    """Processes that train on a road."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            continue
        if "trainer.training.worker" in line and str(road.work) in line:
            found.append(int(folder.name))
    return found
