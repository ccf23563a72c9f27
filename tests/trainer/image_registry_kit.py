"""A registry of images on loopback that speaks the distribution protocol as far as pulling asks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIGEST = "sha256:" + "a" * 64


class ImageRegistry:
    """What the registry has, and how it answers."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.public = {"acme/train"}
        self.private: set[str] = set()
        self.status: int | None = None
        self.served = DIGEST


@contextmanager
def image_registry() -> Iterator[ImageRegistry]:
    """Serve until the block ends. A name needs an anonymous token, as on the large registries."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def _answer(self, head: bool) -> None:
            said, headers, status = b"", {}, 404
            if self.path.startswith("/token?"):
                name = self.path.rpartition("repository%3A")[2].split("%3Apull")[0]
                name = name.replace("%2F", "/")
                said = json.dumps({"token": f"for {name}"}).encode()
                status = 200 if name not in here.private else 401
            elif here.status is not None:
                status = here.status
            elif self.path.startswith("/v2/"):
                name, _, version = self.path.removeprefix("/v2/").partition("/manifests/")
                if self.headers.get("Authorization") != f"Bearer for {name}":
                    status = 401
                    realm = f'realm="http://{here.host}/token",service="{here.host}"'
                    headers["WWW-Authenticate"] = f"Bearer {realm}"
                elif name in here.public and version in ("v1", DIGEST):
                    status = 200
                    headers["Docker-Content-Digest"] = here.served
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if not head:
                self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = ImageRegistry(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
