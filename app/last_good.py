"""Which release of a registry was served last and passed its self-test, kept over restarts."""

import json
import logging
import os
from pathlib import Path

_LOG = logging.getLogger("app")

STATE = "last_good.json"


class LastGood:
    """A small file in the cache folder: registry → the exact model that was good.

    Parameters
    ----------
    folder
        The cache folder; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATE

    def of(self, registry: str) -> str | None:
        """Return the address of the last good model, ``REGISTRY@COMMIT`` or ``REGISTRY@TAG``."""
        found = self._read().get(registry)
        # what somebody else wrote into the file must not lead to another registry
        return found if found and found.startswith(f"{registry}@") else None

    def keep(self, registry: str, address: str) -> None:
        """Remember a model; a cache that cannot be written costs the memory, not the service."""
        content = self._read() | {registry: address}
        draft = self.path.with_name(f".{STATE}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            _LOG.warning("%s cannot be written: %s", self.path, error.strerror)

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _LOG.warning("%s is ignored: %s", self.path, error)
            return {}
        if not isinstance(content, dict):
            return {}
        return {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, str)}
