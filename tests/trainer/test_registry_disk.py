"""The registry on disks that are full, small, read-only or forbidden."""

import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from disk_kit import fill, mounted
from registry_kit import Run, in_child, released_registry, require_sound, tree

from polyid.store import resolve
from trainer.registry import LocalRegistry, RegistryError


@pytest.fixture
def released(tmp_path: Path) -> LocalRegistry:
    return released_registry(tmp_path)


class TestDisk:
    def test_too_small_is_said_before_writing(self, tmp_path: Path) -> None:
        run = Run(tmp_path / "run", weights=bytes(400_000)).write()
        with mounted(tmp_path / "disk", "size=256k") as disk:
            registry = LocalRegistry(disk / "registry")
            with pytest.raises(RegistryError) as caught:
                registry.add_candidate(run.folder, run.fingerprint)
            text = str(caught.value)
            assert str(registry) in text
            assert "the disk is too small" in text  # said before the first byte, not at the last
            assert "40" in text.split(" needed")[0].split(": ")[-1]
            assert "kB free" in text
            assert tree(registry.path) == {".lock": b""}

    def test_full_in_the_middle_of_storing(self, tmp_path: Path) -> None:
        first = Run(tmp_path / "a").write()
        many = Run(tmp_path / "b", data="b", champion="v1.0.0").write()
        for number in range(60):
            (many.folder / f"plot{number}.svg").write_text("<svg/>")
        with mounted(tmp_path / "disk", "size=4m,nr_inodes=60") as disk:  # room, but no more names
            registry = LocalRegistry(disk / "registry")
            registry.add_candidate(first.folder, first.fingerprint)
            registry.publish(first.fingerprint)
            before = tree(registry.path)
            with pytest.raises(RegistryError, match=r"No space left.* needed, .* free"):
                registry.add_candidate(many.folder, many.fingerprint)
            assert tree(registry.path) == before
            require_sound(registry)
            assert resolve(str(registry)).revision == "v1.0.0"

    def test_full_while_publishing(self, tmp_path: Path) -> None:
        first = Run(tmp_path / "a").write()
        then = Run(tmp_path / "b", data="b", champion="v1.0.0").write()
        with mounted(tmp_path / "disk", "size=1m") as disk:
            registry = LocalRegistry(disk / "registry")
            for run in (first, then):
                registry.add_candidate(run.folder, run.fingerprint)
            registry.publish(first.fingerprint)
            before = tree(registry.path)
            filler = disk / "filler"
            fill(filler)
            with pytest.raises(RegistryError, match=r"No space left .* needed, .* free"):
                registry.publish(then.fingerprint)
            assert tree(registry.path) == before
            assert resolve(str(registry)).revision == "v1.0.0"
            filler.unlink()
            assert registry.publish(then.fingerprint).tag == "v1.1.0"
            require_sound(registry)

    def test_a_limit_on_file_size(self, released: LocalRegistry, tmp_path: Path) -> None:
        run = Run(tmp_path / "run", data="b", weights=bytes(3_000_000)).write()
        before, said = tree(released.path), tmp_path / "said"

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
            with pytest.raises(RegistryError, match="File too large") as caught:
                released.add_candidate(run.folder, run.fingerprint)
            said.write_text(str(caught.value))

        assert in_child(limited) == 0
        assert "3.0 MB needed" in said.read_text()
        assert str(released.path) in said.read_text()
        assert tree(released.path) == before

    def test_a_process_killed_by_the_limit_leaves_nothing(
        self, released: LocalRegistry, tmp_path: Path
    ) -> None:
        run = Run(tmp_path / "run", data="b", weights=bytes(3_000_000)).write()
        before = tree(released.path)

        def limited() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
            released.add_candidate(run.folder, run.fingerprint)

        assert in_child(limited) == -signal.SIGXFSZ
        left = list((released.path / ".staging").rglob("*.h5"))
        assert [p.stat().st_size for p in left] == [1_500_000]  # half, where none looks
        assert not released.has_candidate(run.fingerprint)
        released.rollback("v1.0.0")
        assert tree(released.path) == before

    @pytest.mark.parametrize("limit", [0, 50])
    def test_a_pointer_cut_in_half_is_never_seen(
        self, released: LocalRegistry, tmp_path: Path, limit: int
    ) -> None:
        run = Run(tmp_path / "run", data="b", champion="v1.0.0").write()
        released.add_candidate(run.folder, run.fingerprint)
        released.publish(run.fingerprint)

        def limited() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            released.rollback("v1.0.0")

        assert in_child(limited) == -signal.SIGXFSZ
        assert resolve(str(released.path)).revision == "v1.1.0"
        released.rollback("v1.0.0")
        require_sound(released)

    def test_read_only(self, tmp_path: Path) -> None:
        run = Run(tmp_path / "run").write()
        with mounted(tmp_path / "disk", "size=1m") as disk:
            registry = LocalRegistry(disk / "registry")
            registry.add_candidate(run.folder, run.fingerprint)
            registry.publish(run.fingerprint)
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with pytest.raises(RegistryError, match=r"be written: Read-only.*--registry DIR"):
                registry.rollback("v1.0.0")
            current = registry.current()
            assert current is not None  # readers need no right to write
            assert current.tag == "v1.0.0"
            assert resolve(str(registry)).revision == "v1.0.0"

    def test_no_right_to_write(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            run = Run(home / "run").write()
            (home / "registry").mkdir()
            for folder in (home, home / "registry"):
                folder.chmod(0o555)

            def as_nobody() -> None:
                if os.geteuid() == 0:
                    os.setuid(65534)
                for place in (home / "registry", home / "new" / "registry"):
                    with pytest.raises(RegistryError, match="cannot be written: Permission denied"):
                        LocalRegistry(place).add_candidate(run.folder, run.fingerprint)

            assert in_child(as_nobody) == 0
            assert list((home / "registry").iterdir()) == []
            for folder in (home, home / "registry"):
                folder.chmod(0o755)

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        run = Run(tmp_path / "run").write()
        (tmp_path / "file").write_text("")
        with pytest.raises(RegistryError, match=r"Not a directory|File exists"):
            LocalRegistry(tmp_path / "file").add_candidate(run.folder, run.fingerprint)
