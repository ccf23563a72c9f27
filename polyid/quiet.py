"""Load TensorFlow without its greetings on stderr."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def load_keras() -> None:
    """Import Keras and its backend, silently; whatever they printed is shown if they fail.

    ``TF_CPP_MIN_LOG_LEVEL`` silences TensorFlow at work, but not while it is imported
    (tensorflow/tensorflow issue 100442). Set it to 0 to see everything.
    """
    wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if wanted == "0" or "keras" in sys.modules:
        import_module("keras")
    else:
        with _silence():
            import_module("keras")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep back what native code writes to the process's stderr; give it out after an error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                kept.seek(0)
                os.write(2, kept.read())
