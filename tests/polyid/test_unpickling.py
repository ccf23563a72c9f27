"""Pickles are read as data: nothing that they name is imported or called."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polyid.errors import PolyIDError
from polyid.unpickling import NAMES, Held, RefusedPickleError, name_of, numbers, read_pickle


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def written(path: Path, content, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def attacks(marker: Path) -> dict[str, object]:
    """Content that would make ``marker`` if it were run."""
    shell = f"touch '{marker}'"
    code = f"open({str(marker)!r}, 'w')"
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    frame["b"] = pd.Series([Call(os.system, shell), None], dtype=object)
    system = Call(getattr, Call(__import__, "os"), "system")
    return {
        f"{os.system.__module__}.system": Call(os.system, shell),
        "builtins.eval": Call(eval, code),
        "builtins.exec": Call(exec, code),
        "builtins.getattr": [system],
        "subprocess.Popen": {"deep": [{"er": (Call(subprocess.Popen, ["touch", str(marker)]),)}]},
        "io.open": Call(open, str(marker), "w"),
        "pathlib.PosixPath": {"prediction_columns": [Path("x")]},
        "in a frame": frame,
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", list(attacks(Path("x"))))
def test_anything_else_is_refused_by_name(name: str, protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = written(tmp_path / "bad.pk", attacks(marker)[name], protocol)
    if protocol < 3:  # Python 2's names, and helpers before the name itself
        pattern = r"bad\.pk names \w+\.\w+, which"
    elif name == "in a frame":
        pattern = rf"bad\.pk names {os.system.__module__}\.system, which"
    elif name == "pathlib.PosixPath":
        pattern = r"bad\.pk names pathlib\S*\.PosixPath, which"
    else:
        pattern = rf"bad\.pk names {re.escape(name)}, which"
    with pytest.raises(RefusedPickleError, match=pattern):
        read_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "ndarray.__class__"),
        ("numpy", "load"),
        ("numpy.testing", "measure"),
        ("builtins", "slice.__init__.__globals__"),
        ("polyid.unpickling", "Held"),
        ("pandas", "read_pickle"),
        ("sklearn.preprocessing._data", "np.load"),
        ("nfp.preprocessing.features", "__builtins__"),
        ("", "DataFrame"),
    ],
)
def test_names_are_exact(module: str, name: str, tmp_path: Path) -> None:
    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    path = tmp_path / "bad.pk"
    path.write_bytes(b"\x80\x04" + text(module) + text(name) + b"\x93.")
    with pytest.raises(RefusedPickleError) as caught:
        read_pickle(path)
    assert f"bad.pk names {module}.{name}," in str(caught.value)


def test_nothing_named_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "parameters.pk"
    path.write_bytes(b"cpolyml.parameters\nParameters\n)\x81}\x8c\x01aK\x07sb.")
    held = read_pickle(path)
    assert "polyml" not in sys.modules
    assert isinstance(held, Held)
    assert held.origin == "polyml.parameters.Parameters"
    assert name_of(held) == "Parameters"
    assert held.state == {"a": 7}


def test_stand_ins_are_not_changed_by_a_file(tmp_path: Path) -> None:
    """State for a class, not an object of it, would change what the next file meets."""
    path = tmp_path / "class.pk"
    path.write_bytes(b"cpandas\nDataFrame\n}\x8c\x06originK\x07sb.")
    with pytest.raises(PolyIDError, match=r"class\.pk is no whole pickle"):
        read_pickle(path)
    held = read_pickle(written(tmp_path / "frame.pk", pd.DataFrame({"a": [1]})))
    assert held.origin in ("pandas.DataFrame", "pandas.core.frame.DataFrame")
    assert Held.origin == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04.",
        b"hello",
        b"\x80\x04]\x94(K\x01",
        b"\x80\xff.",
        b"cpandas\n",
        b"P7\n.",
        b"\x80\x04\x8c\x01a\x93.",
        b"\x82\x01.",
        b"K\x01K\x02\x81.",
        b"K\x01)R.",
        b"(" * 50 + b".",
    ],
)
def test_damaged_files_are_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data.pk"
    path.write_bytes(content)
    with pytest.raises(PolyIDError, match=r"data\.pk"):
        read_pickle(path)
    with pytest.raises(PolyIDError, match=r"gone\.pk cannot be read"):
        read_pickle(tmp_path / "gone.pk")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">i4", "<i8"])
def test_arrays_are_numbers(protocol: int, dtype: str, tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    for value in (array, np.asfortranarray(array), array[:, 0]):
        if protocol == 2:  # writes its bytes as a text with a codec, which is refused
            with pytest.raises(RefusedPickleError, match=r"_codecs\.encode"):
                read_pickle(written(tmp_path / "a.pk", value, protocol))
        else:
            found = numbers(read_pickle(written(tmp_path / "a.pk", value, protocol)))
            np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    "value", [np.array(["a"], dtype=object), np.array(["a"]), pd.DataFrame({"a": [1]}), "text", 3]
)
def test_anything_else_is_no_array(value, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match="expected"):
        numbers(read_pickle(written(tmp_path / "a.pk", value)))


def test_the_list_names_nothing_that_runs_code() -> None:
    assert set(NAMES["builtins"]) == {"slice", "bytearray"}
    assert not {"os", "posix", "subprocess", "copyreg", "functools", "operator"} & set(NAMES)
