"""Checkpoints are whole or absent, whatever happens to the process or the disk."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from disk_kit import fill, mounted
from registry_kit import in_child, tree

from trainer.training import checkpoint
from trainer.training.checkpoint import CheckpointError


def arrays(epoch: int = 1, size: int = 1000) -> dict[str, np.ndarray]:
    return {"epoch": np.array(epoch), "flat": np.full(size, epoch, dtype=np.float32)}


def assert_newest(folder: Path, epoch: int, warnings: int = 0) -> list[str]:
    found, said = checkpoint.newest(folder)
    assert found is not None
    assert found.epoch == epoch
    assert found.arrays["flat"][0] == epoch
    assert len(said) == warnings
    return said


def test_round_trip(tmp_path: Path) -> None:
    content = arrays(7) | {"text": np.array(["a", "b"]), "empty": np.zeros((0, 3))}
    path = checkpoint.save(tmp_path / "new" / "folder", 7, content)
    found, warnings = checkpoint.newest(path.parent)
    assert found is not None
    assert (found.epoch, found.path, warnings) == (7, path, [])
    assert found.arrays.keys() == content.keys()
    for name, value in content.items():
        np.testing.assert_array_equal(found.arrays[name], value)


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"epoch-000001\.npz cannot be written: Not a dir"):
        checkpoint.save(tmp_path / "file" / "member-00", 1, arrays())


def test_nothing_there(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") == (None, [])
    (tmp_path / "epoch-000003.txt").write_text("")
    assert checkpoint.newest(tmp_path) == (None, [])


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 10):
        checkpoint.save(tmp_path, epoch, arrays(epoch))
    names = [f"epoch-{epoch:06d}.npz" for epoch in (3, 10)]
    assert sorted(tree(tmp_path)) == sorted([*names, *(f"{name}.sha256" for name in names)])
    assert_newest(tmp_path, 10)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_cut_in_half(tmp_path: Path, keep: float) -> None:
    checkpoint.save(tmp_path, 1, arrays(1))
    path = checkpoint.save(tmp_path, 2, arrays(2))
    os.truncate(path, int(keep * path.stat().st_size))
    (said,) = assert_newest(tmp_path, 1, warnings=1)
    assert str(path) in said
    assert "checksum" in said


def test_a_changed_byte(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, arrays(1))
    path = checkpoint.save(tmp_path, 2, arrays(2))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert_newest(tmp_path, 1, warnings=1)


def test_without_its_checksum(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, arrays(1))
    path = checkpoint.save(tmp_path, 2, arrays(2))
    path.with_name(f"{path.name}.sha256").unlink()
    assert_newest(tmp_path, 1, warnings=1)


def test_all_damaged(tmp_path: Path) -> None:
    for epoch in (1, 2):
        checkpoint.save(tmp_path, epoch, arrays(epoch)).write_bytes(b"")
    found, warnings = checkpoint.newest(tmp_path)
    assert found is None
    assert len(warnings) == 2


def test_no_pickle_is_written_or_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises((CheckpointError, ValueError), match=r"(?i)object|pickle"):
        checkpoint.write_arrays(path, {"bad": np.array([{"a": 1}], dtype=object)})
    assert tree(tmp_path) == {}
    with path.open("wb") as file:
        np.savez(file, bad=np.array([{"a": 1}], dtype=object))
    path.with_name("x.npz.sha256").write_text(checkpoint._digest(path))
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.read_arrays(path)


def test_killed_at_any_byte(tmp_path: Path) -> None:
    """A process that dies while it writes leaves the checkpoint before it as the newest."""
    checkpoint.save(tmp_path, 1, arrays(1, 50_000))
    whole = len(tree(tmp_path)["epoch-000001.npz"])
    for limit in (0, 1000, whole // 2, whole - 1):

        def write(limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            checkpoint.save(tmp_path, 2, arrays(2, 50_000))

        assert in_child(write) == -signal.SIGXFSZ
        assert_newest(tmp_path, 1)
    # the next one tidies up
    checkpoint.save(tmp_path, 2, arrays(2, 50_000))
    assert_newest(tmp_path, 2)
    assert not [name for name in tree(tmp_path) if "part" in name]


def test_a_limit_on_file_size_is_said(tmp_path: Path) -> None:
    folder, said = tmp_path / "run", tmp_path / "said"
    checkpoint.save(folder, 1, arrays(1, 50_000))
    before = tree(folder)

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        with pytest.raises(CheckpointError) as caught:
            checkpoint.save(folder, 2, arrays(2, 50_000))
        said.write_text(str(caught.value))

    assert in_child(write) == 0
    assert "epoch-000002.npz cannot be written: File too large" in said.read_text()
    assert "--work" in said.read_text()
    assert "it resumes" in said.read_text()
    assert tree(folder) == before


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_full_disk(tmp_path: Path, share: float) -> None:
    """Whether the arrays do not fit, or only their checksum does not."""
    with mounted(tmp_path / "disk", "size=1m") as disk:
        checkpoint.save(disk / "run", 1, arrays(1, 50_000))
        before = tree(disk / "run")
        fill(disk / "filler")
        pages = -(-len(before["epoch-000001.npz"]) // 4096)
        left = int(share * pages) * 4096
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - left)
        with pytest.raises(CheckpointError, match=r"No space left on device.*Free disk space"):
            checkpoint.save(disk / "run", 2, arrays(2, 50_000))
        assert tree(disk / "run") == before
        (disk / "filler").unlink()
        checkpoint.save(disk / "run", 2, arrays(2, 50_000))
        assert_newest(disk / "run", 2)


def test_a_read_only_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(CheckpointError, match="Read-only file system"):
            checkpoint.save(disk / "run", 1, arrays(1))
