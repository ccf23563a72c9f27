"""A tiny application for a Space: it says what it was told to say, the truth or not.

``COMMITS`` maps tags to commits, ``LIES`` tags to one of: wrong revision, not ready, degraded,
wrong numbers, errors, dies.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL, TAG = os.environ["MODEL"], os.environ["MODEL_REVISION"]
LIE = json.loads(os.environ.get("LIES", "{}")).get(TAG)
COMMITS = json.loads(os.environ["COMMITS"])
SHOWN = "v1.0.0" if LIE in ("wrong revision", "degraded") else TAG
IDENTITY = {"tag": SHOWN, "hub_commit": COMMITS[SHOWN]}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with Path("authorization.txt").open("a") as file:
            file.write(f"{self.headers.get('authorization')}\n")
        ready = LIE != "not ready"
        status = "degraded" if LIE == "degraded" else "ready" if ready else "not ready"
        reason = None if status == "ready" else "The self-test failed."
        health = {"status": status, "ready": ready, "requested": f"{MODEL}@{TAG}"}
        health |= {"model": IDENTITY if ready else None, "reason": reason}
        self.answer(200, health if self.path == "/health" else IDENTITY)

    def do_POST(self):
        if LIE == "errors":
            self.answer(500, {"detail": "broken"})
            return
        value = 5.0 if LIE == "wrong numbers" else 1.0
        self.answer(200, {"model": IDENTITY, "properties": {"Density": {"value": value}}})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if LIE == "dies":
    sys.exit("no")
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
