"""The log of a Space, line by line, each once, through lost connections."""

from collections.abc import Callable, Iterator
from queue import Empty, Queue
from threading import Thread

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

#: Seconds without a line after which is asked whether there is anything to wait for.
_PACE_S = 2.0


def new_lines(space: str, sent: list[str], follow: bool, over: Callable[[], bool]) -> Iterator[str]:
    """Yield the lines of one stream that were not sent yet; leave it once the run is over.

    The Hub sends a log from its beginning each time; after a restart it is another one.
    """
    queue: Queue[str | None] = Queue()

    def read() -> None:
        try:
            for line in HfApi().fetch_space_logs(space, follow=follow):
                queue.put(line.rstrip("\n"))
        except (HfHubHTTPError, httpx.HTTPError):
            pass  # opened anew by whoever follows
        finally:
            queue.put(None)

    Thread(target=read, daemon=True).start()
    old, same, at = list(sent), True, 0
    while True:
        try:
            line = queue.get(timeout=_PACE_S)
        except Empty:
            if over():
                return
            continue
        if line is None:
            return
        same = same and at < len(old) and old[at] == line
        at += 1
        if not same:
            sent.append(line)
            yield line
