"""Read a pickle without running any of it.

Unpickling calls what the file names, so a pickle is a program. Here every name must stand in a
list of exact names, and even those are never imported or called: each is replaced by a `Held`,
which only remembers its arguments and state. Numbers and texts are then taken out of these by hand.
"""

import pickle  # the reader below is what makes it safe
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from polyid.errors import PolyIDError

#: What the published package's files name, module by module; ``polyml`` is its earlier name.
_FEATURES = (
    "atom_features_v1",
    "atom_features_v2",
    "bond_features_v1",
    "bond_features_v2",
    "bond_features_v3",
)
_FRAME = ("DataFrame", "Index", "RangeIndex")
NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("polyid.parameters", "polyml.parameters"), ("Parameters",)),
    **dict.fromkeys(
        ("polyid.preprocessors.preprocessors", "polyml.preprocessors.preprocessors"),
        ("PolymerPreprocessor", "PmPreprocessor"),
    ),
    "nfp.preprocessing.tokenizer": ("Tokenizer",),
    **dict.fromkeys(
        (
            "nfp.preprocessing.features",
            "polyid.preprocessors.features",
            "polyml.preprocessors.features",
        ),
        _FEATURES,
    ),
    **dict.fromkeys(
        ("sklearn.preprocessing._data", "sklearn.preprocessing.data"), ("RobustScaler",)
    ),
    "numpy": ("ndarray", "dtype"),
    **dict.fromkeys(
        ("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct", "scalar")
    ),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), ("_frombuffer",)),
    # tables of training data, which are skipped
    "pandas": (*_FRAME, "StringDtype"),
    "pandas.core.frame": ("DataFrame",),
    "pandas.core.indexes.base": ("_new_Index", "Index"),
    "pandas.core.indexes.range": ("RangeIndex",),
    "pandas.core.indexes.numeric": ("Int64Index",),
    "pandas.core.internals.managers": ("BlockManager",),
    "pandas._libs.internals": ("_unpickle_block",),
    "pandas._libs.arrays": ("__pyx_unpickle_NDArrayBacked",),
    "pandas.arrays": ("StringArray", "ArrowStringArray"),
    "pandas.core.arrays.string_": ("StringArray", "StringDtype"),
    "pandas.core.arrays.string_arrow": ("ArrowStringArray",),
    "pyarrow.lib": ("type_for_alias", "chunked_array", "_restore_array", "py_buffer"),
    "builtins": ("slice", "bytearray"),
}

#: What a damaged pickle makes Python's reader raise.
_DAMAGED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class Held:
    """Something that the pickle names: its arguments and state, and nothing done with them."""

    origin: ClassVar[str] = ""
    """Module and name in the file."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any, **_: Any) -> "Held":
        """Remember what it was called with."""
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class RefusedPickleError(PolyIDError):
    """A pickle names what no file of the published package names."""


class _Reader(pickle.Unpickler):
    """Replaces every name by a stand-in, or refuses the file."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self.path = path
        self.known: dict[tuple[str, str], type[Held]] = {}

    def find_class(self, module: str, name: str) -> type[Held]:
        """Stand-in of what the file calls ``module.name``."""
        if name not in NAMES.get(module, ()):
            raise RefusedPickleError(
                f"{self.path} names {module}.{name}, which no model of the published package "
                "needs. The file was refused and nothing of it was run. Do not open it with "
                "another program; get the model again from someone you trust."
            )
        key = (module, name)
        if key not in self.known:
            self.known[key] = type(name, (Held,), {"origin": f"{module}.{name}"})
        return self.known[key]


def read_pickle(path: Path) -> Any:
    """Content of a pickle: plain data, and a `Held` for everything else.

    Raises
    ------
    RefusedPickleError
        If it names anything but `NAMES`.
    PolyIDError
        If it is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path).load()
    except (PolyIDError, OSError) as error:
        if isinstance(error, PolyIDError):
            raise
        raise PolyIDError(f"{path} cannot be read: {error.strerror}.") from error
    except _DAMAGED as error:
        raise PolyIDError(f"{path} is no whole pickle: {error}. Copy it again.") from error


def name_of(value: Any) -> str:
    """Name of a held object, class or function, without its module; its type otherwise."""
    kind = value if isinstance(value, type) else type(value)
    return kind.origin.rpartition(".")[2] if issubclass(kind, Held) else kind.__name__


def numbers(value: Any) -> NDArray[np.float64]:
    """Array of numbers that NumPy pickled, or a plain list of them.

    Raises
    ------
    ValueError, TypeError
        If it is something else.
    """
    if isinstance(value, (list, tuple)):
        return np.asarray(value, dtype=np.float64)
    if name_of(value) == "_reconstruct" and isinstance(value.state, tuple):
        _, shape, dtype, fortran, content = value.state
    elif name_of(value) == "_frombuffer" and len(value.args) == 4:
        content, dtype, shape, order = value.args
        fortran = order == "F"
    else:
        raise ValueError(f"expected an array, found {name_of(value)}")
    if not isinstance(content, (bytes, bytearray)):
        raise TypeError("expected an array of numbers, found one of objects")
    flat = np.frombuffer(content, dtype=_dtype(dtype))
    return flat.reshape(shape, order="F" if fortran else "C").astype(np.float64)


def _dtype(held: Any) -> np.dtype:
    """Type of numbers that NumPy pickled as (code, …) and (version, byte order, …)."""
    if name_of(held) != "dtype" or held.args[0] not in ("f4", "f8", "i4", "i8"):
        raise ValueError(f"expected numbers, found {getattr(held, 'args', held)!r}")
    order = held.state[1] if held.state else "="
    if order not in ("<", ">", "=", "|"):
        raise ValueError(f"byte order {order!r} is not known")
    return np.dtype(held.args[0]).newbyteorder(order)
