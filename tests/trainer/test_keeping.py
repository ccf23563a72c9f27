"""Generations of checkpoints in a store: whole, verified, two of them, on every kind of place."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from hub_kit import Hub
from keeping_kit import BUCKET, contents, kept, s3_server, write

from polyid.errors import PolyIDError
from trainer.conduct import Wanted, as_options, conduct_of
from trainer.config import load_params
from trainer.keeping import store
from trainer.keeping.access import store_access
from trainer.keeping.carrier import Carrier, Task, clear
from trainer.keeping.place import FilePlace, KeepingError, Place, open_place, require_usable

MARK = "0123456789abcdef"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    with s3_server() as env:
        yield env


@pytest.fixture(params=["memory", "file", "s3", "hub"])
def place(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "s3":
        for name, value in request.getfixturevalue("s3").items():
            monkeypatch.setenv(name, value)
        yield open_place(f"s3://{BUCKET}/{tmp_path.name}", MARK)
    elif request.param == "hub":
        hub = request.getfixturevalue("hub")
        request.getfixturevalue("hub_home")
        yield open_place(f"hf://{hub.name()}", MARK)
    else:
        root = "memory://store" if request.param == "memory" else f"file://{tmp_path}/store"
        yield open_place(root, MARK)
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    write(folder, "checkpoints/member-00/epoch-000003.npz", 3)
    return folder


def save(place: Place, run: Path, progress: int) -> store.Saved:
    return store.save(place, kept(run), progress, {"seconds": float(progress)})


def test_what_is_saved_is_restored_on_an_empty_machine(place: Place, run: Path, tmp_path) -> None:
    assert store.restore(place, tmp_path / "none").files == []
    assert save(place, run, 3).number == 1
    write(run, "members/member-00.npz", 5)
    (run / "checkpoints/member-00/epoch-000003.npz").unlink()
    write(run, "checkpoints/member-01/epoch-000002.npz", 2)
    assert save(place, run, 7).number == 2
    back = store.restore(place, tmp_path / "other")
    assert (back.warnings, back.progress, back.status) == ([], 7, {"seconds": 7.0})
    assert contents(tmp_path / "other") == contents(run)
    place.clear()
    assert place.listing() == {}
    place.clear()


def test_two_generations_are_kept_and_nothing_is_sent_twice(place: Place, run: Path) -> None:
    write(run, "members/member-01.npz", 1)
    first = save(place, run, 3)
    for epoch in (4, 5, 6):
        write(run, f"checkpoints/member-00/epoch-{epoch:06d}.npz", epoch)
        (run / f"checkpoints/member-00/epoch-{epoch - 1:06d}.npz").unlink()
        assert 0 < save(place, run, epoch).sent < first.sent
    assert save(place, run, 6) == (4, 0)  # nothing new
    names = sorted(place.listing())
    assert [name[:15] for name in names if name.startswith("manifest")] == [
        "manifest-000003", "manifest-000004"
    ]  # fmt: skip
    assert sum(name.startswith("data/") for name in names) == 3  # one of member 1, two of member 0


def test_a_machine_that_could_not_restore_does_not_replace_what_is_further(
    place: Place, run: Path, tmp_path: Path
) -> None:
    save(place, run, 3)
    write(tmp_path / "new", "checkpoints/member-00/epoch-000001.npz", 1)
    assert save(place, tmp_path / "new", 1).sent == 0
    store.restore(place, tmp_path / "third")
    assert contents(tmp_path / "third") == contents(run)


def test_what_the_machine_has_is_not_made_older(place: Place, run: Path) -> None:
    save(place, run, 3)
    write(run, "checkpoints/member-00/epoch-000004.npz", 4)
    (run / "checkpoints/member-00/epoch-000003.npz").unlink()
    store.restore(place, run)
    assert contents(run) == {"checkpoints/member-00/epoch-000004.npz": 4.0}


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [truncated, changed, Path.unlink])
@pytest.mark.parametrize("what", ["data", "manifest"])
def test_a_damaged_newest_is_passed_over_for_the_one_before(
    run: Path, tmp_path: Path, spoil: Callable[[Path], None], what: str
) -> None:
    place = FilePlace(f"file://{tmp_path}/store")
    write(run, "members/member-01.npz", 1)
    save(place, run, 3)
    before = set(place.listing())
    write(run, "checkpoints/member-00/epoch-000004.npz", 4)
    (run / "checkpoints/member-00/epoch-000003.npz").unlink()
    save(place, run, 4)
    (newest,) = [n for n in place.listing() if n not in before and n.startswith(what)]
    spoil(tmp_path / "store" / newest)
    back = store.restore(place, tmp_path / "other")
    assert contents(tmp_path / "other") == {
        "checkpoints/member-00/epoch-000003.npz": 3.0,
        "members/member-01.npz": 1.0,  # its file is in both, and is well
    }
    if (what, spoil) != ("manifest", Path.unlink):  # that one is as if it had never been written
        assert len(back.warnings) == 1
        assert "passed over" in back.warnings[0]
    # and the next generation keeps the good one, not the damaged one
    write(run, "checkpoints/member-00/epoch-000005.npz", 5)
    save(place, run, 5)
    newer = tmp_path / "newer"
    store.restore(place, newer)
    assert contents(newer)["checkpoints/member-00/epoch-000005.npz"] == 5.0


def test_a_damaged_file_is_not_stored(run: Path, tmp_path: Path) -> None:
    place = FilePlace(f"file://{tmp_path}/store")
    truncated(run / "checkpoints/member-00/epoch-000003.npz")
    with pytest.raises(PolyIDError, match="no checkpoint verifies"):
        save(place, run, 3)
    assert place.listing() == {}


def test_a_manifest_may_not_name_files_outside_the_run(run: Path, tmp_path: Path) -> None:
    from trainer.keeping.manifest import Manifest

    place = FilePlace(f"file://{tmp_path}/store")
    bad = Manifest(9, {"../../outside.npz": "0" * 64}, 9, {})
    place.write({}, bad.encoded(), [])
    back = store.restore(place, tmp_path / "other")
    assert back.files == []
    assert "damaged" in back.warnings[0]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nosuch://bucket/x", "cannot open it"),
        ("s3://key:word@bucket/x", "credentials go into the environment"),
        ("hf://datasets/acme/name/folder", "expected hf://namespace/name"),
    ],
)
def test_an_address_that_can_never_work_is_refused_at_once(url: str, text: str) -> None:
    with pytest.raises(KeepingError, match=text) as error:
        require_usable(url)
    assert "word" not in str(error.value).replace("password", "")


def test_a_carrier_says_in_one_line_why_it_failed_and_shows_no_secret(
    tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    run = tmp_path / "run"
    write(run, "checkpoints/member-00/epoch-000001.npz", 1)
    files = {k.path: k.digest for k in kept(run)}
    ended = Carrier(Task("save", "s3://no-such-bucket/x", MARK, str(run), files, 1), 60).wait()
    assert not ended.ok
    assert "bucket does not exist" in ended.text
    assert "\n" not in ended.text
    assert s3["AWS_SECRET_ACCESS_KEY"] not in ended.text


def test_a_carrier_that_gets_no_answer_is_ended(hub: Hub, hub_home: Path) -> None:
    hub.inject("slow", path="/refs", seconds=60, before=True)
    ended = Carrier(Task("clear", f"hf://{hub.name()}", MARK), 3).wait()
    assert (ended.ok, ended.text) == (False, "no answer within 3 s")


def test_the_hub_keeps_one_commit_a_generation_and_gives_storage_back(
    hub: Hub, hub_home: Path, run: Path
) -> None:
    repo = hub.name()
    place = open_place(f"hf://{repo}", MARK)
    for epoch in (3, 4, 5, 6):
        write(run, f"checkpoints/member-00/epoch-{epoch:06d}.npz", epoch)
        for old in run.glob("checkpoints/*/epoch-*.npz"):
            if f"{epoch:06d}" not in old.name:
                old.unlink()
        save(open_place(f"hf://{repo}", MARK), run, epoch)
    branch = f"checkpoints/{MARK}"
    commits = [c.title for c in hub.api().list_repo_commits(repo, revision=branch)]
    assert commits[:4] == [f"Checkpoints of {MARK}"] * 4
    assert len(list(hub.api().list_lfs_files(repo))) == 2
    assert hub.api().repo_info(repo).private
    place.clear()
    assert f"refs/heads/{branch}" not in hub.refs(repo)
    assert list(hub.api().list_lfs_files(repo)) == []


def test_the_command_line_goes_before_the_recipe_and_nothing_changes_the_run(
    tmp_path: Path,
) -> None:
    recipe = load_params(ROOT / "params.yaml")
    kept = load_params(ROOT / "params.yaml", ["conduct.checkpoints=s3://bucket/x"])
    assert recipe.plain() == kept.plain()
    assert "conduct" not in recipe.plain()
    assert conduct_of(recipe).checkpoints is None
    assert conduct_of(kept).checkpoints == "s3://bucket/x"
    assert conduct_of(kept, Wanted("none")).checkpoints is None
    other = conduct_of(kept, Wanted("hf://acme/name", 5))
    assert as_options(other) == [
        "--checkpoints", "hf://acme/name", "--checkpoint-minutes", "5"
    ]  # fmt: skip


def test_credentials_go_along_as_secrets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    access = store_access("s3://bucket/x")
    assert "AWS_SECRET_ACCESS_KEY" in access.secrets
    assert access.env["AWS_ENDPOINT_URL"] == "https://s3.example.org"
    assert "hidden" not in json.dumps(dict(access.env))
    assert store_access("hf://acme/name") == store_access(None) == ((), {})


def test_removing_checkpoints_says_what_went_wrong(hub: Hub, hub_home: Path) -> None:
    assert clear(f"hf://{hub.name()}", MARK) is None  # there are none
    with hub.offline():
        why = clear(f"hf://{hub.name()}", MARK)
    assert why is not None
    assert "listing the checkpoints" in why
