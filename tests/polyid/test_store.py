"""Checksums of a model folder, and finding models in folders and registries."""

import json
import os
from pathlib import Path

import pytest

from polyid.checksums import CHECKSUMS, TamperedError, verify, write_checksums
from polyid.errors import PolyIDError
from polyid.registry import UnknownModelError
from polyid.store import resolve

A, B = "a1b2c3d4e5f60718", "a1b2ffffffffffff"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", A)


def make_model(folder: Path, fingerprint: str, verdict: str = "pass") -> Path:
    (folder / "model_fold_0").mkdir(parents=True)
    (folder / "model_fold_0" / "model.weights.h5").write_bytes(os.urandom(4096))
    (folder / "parameters.json").write_text("{}")
    (folder / "record.yaml").write_text(f"fingerprint: {fingerprint}\n")
    (folder / "gate.json").write_text(json.dumps({"verdict": verdict}))
    write_checksums(folder)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    home = tmp_path / "models@home"  # an @ in a path is not a revision
    make_model(home / "candidates" / A, A)
    make_model(home / "candidates" / B, B, "fail")
    return home


def release(registry: Path, tag: str, fingerprint: str = A, *, current: bool = True) -> Path:
    folder = make_model(registry / "releases" / tag, fingerprint)
    (folder / "release.json").write_text(json.dumps({"tag": tag}))
    write_checksums(folder)
    if current:
        (registry / "current.json").write_text(json.dumps({"tag": tag}))
    return folder


class TestChecksums:
    def test_lists_every_file_sorted_and_verifies(self, model: Path) -> None:
        content = json.loads((model / CHECKSUMS).read_text())
        assert content["algorithm"] == "sha256"
        assert list(content["files"]) == [
            "gate.json",
            "model_fold_0/model.weights.h5",
            "parameters.json",
            "record.yaml",
        ]
        verify(model)

    def test_one_flipped_byte(self, model: Path) -> None:
        path = model / "model_fold_0" / "model.weights.h5"
        data = bytearray(path.read_bytes())
        data[2000] ^= 1
        path.write_bytes(data)
        with pytest.raises(TamperedError, match=r"changed: model_fold_0/model\.weights\.h5") as e:
            verify(model)
        assert e.value.changed == ("model_fold_0/model.weights.h5",)

    def test_half_cut_file(self, model: Path) -> None:
        os.truncate(model / "model_fold_0" / "model.weights.h5", 2048)
        with pytest.raises(TamperedError, match="changed"):
            verify(model)

    def test_names_every_fault_at_once(self, model: Path) -> None:
        (model / "parameters.json").write_text("{} ")
        (model / "record.yaml").unlink()
        (model / "new.json").write_text("1")
        (model / "weights.PKL").write_bytes(b"\x80")
        with pytest.raises(TamperedError) as caught:
            verify(model)
        error = caught.value
        assert (error.changed, error.missing, error.extra) == (
            ("parameters.json",),
            ("record.yaml",),
            ("new.json",),
        )
        assert list(error.refused) == ["weights.PKL"]
        for name in ("parameters.json", "record.yaml", "new.json", "weights.PKL"):
            assert name in str(error)

    def test_extra_file_in_a_new_folder(self, model: Path) -> None:
        (model / "plots").mkdir()
        (model / "plots" / "x.png").write_bytes(b"")
        with pytest.raises(TamperedError, match=r"plots/x\.png"):
            verify(model)

    def test_the_files_of_a_hub_repository_are_no_fault(self, model: Path) -> None:
        (model / ".gitattributes").write_text("*.h5 filter=lfs\n")
        verify(model)

    @pytest.mark.parametrize("name", ["a.pk", "a.pkl", "a.pickle", "a.joblib", "a.pkl.gz"])
    def test_pickles_are_neither_listed_nor_accepted(self, model: Path, name: str) -> None:
        (model / name).write_bytes(b"\x80")
        with pytest.raises(TamperedError, match=name):
            write_checksums(model)
        files = json.loads((model / CHECKSUMS).read_text())
        files["files"][name] = "0" * 64
        (model / CHECKSUMS).write_text(json.dumps(files))
        with pytest.raises(TamperedError, match=f"refused: {name}"):
            verify(model)

    @pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "a\\b", "./a"])
    def test_paths_that_may_leave_are_refused(self, model: Path, name: str) -> None:
        content = {"algorithm": "sha256", "files": {name: "0" * 64}}
        (model / CHECKSUMS).write_text(json.dumps(content))
        with pytest.raises(TamperedError, match="may leave the folder"):
            verify(model)

    def test_links(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "outside").write_bytes((model / "parameters.json").read_bytes())
        (model / "parameters.json").unlink()
        (model / "parameters.json").symlink_to(tmp_path / "outside")
        with pytest.raises(TamperedError, match="leaves the folder"):  # though the bytes are right
            verify(model)
        verify(model, links_within=tmp_path)
        (model / "inside").symlink_to("record.yaml")
        (model / "all").symlink_to(".")
        with pytest.raises(TamperedError) as caught:
            verify(model, links_within=tmp_path)
        assert caught.value.extra == ("inside",)
        assert list(caught.value.refused) == ["all"]

    def test_a_pipe_is_refused_and_does_not_hang(self, model: Path) -> None:
        os.mkfifo(model / "pipe")
        with pytest.raises(TamperedError, match="pipe"):
            verify(model)

    @pytest.mark.parametrize(
        "text",
        ["", '{"algorithm": "sha256", "files": {', "[]", '{"files": {}}', '{"algorithm": 1}'],
    )
    def test_damaged_checksums(self, model: Path, text: str) -> None:
        (model / CHECKSUMS).write_text(text)
        with pytest.raises(TamperedError, match=CHECKSUMS):
            verify(model)

    def test_no_checksums(self, model: Path) -> None:
        (model / CHECKSUMS).unlink()
        with pytest.raises(TamperedError, match=f"missing: {CHECKSUMS}"):
            verify(model)


class TestResolve:
    def test_folder(self, model: Path) -> None:
        found = resolve(str(model))
        assert found.folder == model
        assert (found.registry, found.revision, found.fingerprint) == (None, None, A)

    def test_current_tag_and_candidate(self, registry: Path) -> None:
        release(registry, "v1.0.0")
        release(registry, "v1.1.0", B)
        found = resolve(str(registry))
        assert (found.folder, found.revision) == (registry / "releases" / "v1.1.0", "v1.1.0")
        assert (found.registry, found.fingerprint) == (str(registry), B)
        assert resolve(f"{registry}@v1.0.0").fingerprint == A
        found = resolve(f"{registry}@candidate/{A}")
        assert found.revision == f"candidate/{A}"
        assert resolve(f"{registry}@candidate/a1b2c").fingerprint == A

    def test_a_released_folder_knows_its_tag(self, registry: Path) -> None:
        assert resolve(str(release(registry, "v1.0.0"))).revision == "v1.0.0"

    @pytest.mark.parametrize("suffix", ["", "@v1.0.0", f"@candidate/{A}"])
    def test_verifies(self, registry: Path, suffix: str) -> None:
        release(registry, "v1.0.0")
        for path in registry.rglob("parameters.json"):
            path.write_text("{ }")
        with pytest.raises(TamperedError, match=r"parameters\.json"):
            resolve(f"{registry}{suffix}")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownModelError, match=r"does not exist.*trainer run --registry"):
            resolve(str(tmp_path / "nothing"))
        with pytest.raises(UnknownModelError, match="neither"):
            resolve(str(tmp_path))

    def test_no_release_lists_candidates_and_the_command(self, registry: Path) -> None:
        with pytest.raises(UnknownModelError) as caught:
            resolve(str(registry))
        text = str(caught.value)
        assert f"{A}  pass" in text
        assert f"{B}  fail" in text
        assert f"trainer publish --registry {registry} --candidate {A}" in text

    def test_unknown_tag_suggests_the_nearest(self, registry: Path) -> None:
        release(registry, "v1.0.0")
        release(registry, "v1.10.0")
        with pytest.raises(UnknownModelError, match=r"mean v1\.10\.0\? Releases: v1\.0\.0, v1\.10"):
            resolve(f"{registry}@1.10.0")
        with pytest.raises(UnknownModelError, match="no release"):
            resolve(f"{registry}@../candidates/{A}")

    def test_candidate_that_is_unclear_or_unknown(self, registry: Path) -> None:
        for prefix, reason in {
            "a1b2": "not unique",
            "a1": "too short",
            "ffff": "names none",
        }.items():
            with pytest.raises(UnknownModelError, match=reason):
                resolve(f"{registry}@candidate/{prefix}")

    def test_a_model_has_no_revisions(self, model: Path) -> None:
        with pytest.raises(UnknownModelError, match="is one model"):
            resolve(f"{model}@v1.0.0")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"tag": 3}', '{"tag": "../x"}'])
    def test_damaged_pointer(self, registry: Path, text: str) -> None:
        release(registry, "v1.0.0")
        (registry / "current.json").write_text(text)
        with pytest.raises(PolyIDError, match=r"current\.json"):
            resolve(str(registry))

    def test_pointer_to_a_release_that_is_gone(self, registry: Path) -> None:
        (registry / "current.json").write_text('{"tag": "v9.0.0"}')
        with pytest.raises(UnknownModelError, match=r"v9\.0\.0"):
            resolve(str(registry))

    def test_record_that_is_not_yaml(self, model: Path) -> None:
        (model / "record.yaml").write_text("{")
        write_checksums(model)
        with pytest.raises(PolyIDError, match="not YAML"):
            resolve(str(model))

    @pytest.mark.parametrize("address", ["hf://", "hf://name", "hf://a/b/c", "hf://a b/c@v1.0.0"])
    def test_an_address_that_names_no_repository(self, address: str) -> None:
        with pytest.raises(PolyIDError, match=r"Expected hf://namespace/name"):
            resolve(address)
