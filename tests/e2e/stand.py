"""The test stand: real processes and real HTTP. A gateway that can be killed, and receivers that do as they are told."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
COMMAND = [str(Path(sys.executable).parent / "gateway")]
ADMIN = "admin-token-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, condition: Callable[[], object], seconds: float = 15.0) -> object:
    """What the condition says, once it is true; an AssertionError that names what was waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def call(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None, timeout: float = 10.0
) -> tuple[int, object]:
    """One HTTP call: status, and the body as data or text."""
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"} | (headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


class Gateway:
    """A `gateway serve` of our own, on a port and a database of its own."""

    def __init__(self, folder: Path, *, env: dict[str, str] | None = None, config: Path | None = None, dev: bool = False) -> None:
        self.folder, self.config, self.dev = folder, config, dev
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        keep = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
        store = {"GATEWAY_STORE": f"sqlite:///{folder / 'gateway.db'}"}
        admin = {} if dev else {"GATEWAY_ADMIN_TOKEN": ADMIN}
        self.env = keep | store | admin | (env or {})
        self.process: subprocess.Popen[bytes] | None = None

    def arguments(self) -> list[str]:
        config = ["--config", str(self.config)] if self.config else []
        return [*COMMAND, "serve", "--port", str(self.port), *config, *(["--dev"] if self.dev else [])]

    def start(self, descriptors: int | None = None) -> Self:
        """Run it, with no more descriptors than given, until it is ready."""
        limited = None if descriptors is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments(),
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=limited,  # noqa: PLW1509
            )
        wait_for(f"the gateway; its log says {self.log.read_text()[-2000:]}", self.ready)
        return self

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended: {self.log.read_text()[-3000:]}"
        try:
            return call("GET", f"{self.url}/readyz", timeout=2)[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def post(self, path: str, body: object, **headers: str) -> tuple[int, object]:
        return call("POST", self.url + path, body, headers)

    def api(self, path: str, method: str = "GET", body: object = None) -> object:
        status, document = call(
            method, f"{self.url}/api/v1{path}", body, {} if self.dev else {"authorization": f"Bearer {ADMIN}"}
        )
        assert status < 300, (status, document)
        return document

    def all(self, path: str) -> list[dict]:
        """Every item of a list, page by page."""
        found, cursor = [], ""
        while True:
            page = self.api(f"/{path}?limit=200&cursor={cursor}")
            found += page["items"]
            cursor = page["next"]
            if not cursor:
                return found

    def counts(self) -> dict[str, dict[str, int]]:
        return {sink["name"]: sink["counts"] for sink in self.api("/sinks")["items"] if sink["counts"]["accepted"]}

    def drained(self) -> bool:
        return all(counts["pending"] == counts["claimed"] == 0 for counts in self.counts().values())

    def assert_conserved(self) -> dict[str, dict[str, int]]:
        """accepted = delivered + filtered + cancelled + dead + pending + claimed + parked, for each sink; and the rows agree."""
        for _ in range(50):
            counts, rows = self.counts(), self._rows()
            told = {
                sink: {
                    state: number for state, number in counts[sink].items() if number and state not in ("accepted", "filtered")
                }
                for sink in rows
            }
            if rows == told:
                break
            time.sleep(0.03)  # a claim between the two questions is no loss; what is lost stays lost
        assert rows == told, counts
        for sink, count in counts.items():
            parts = {state: number for state, number in count.items() if state != "accepted"}
            assert count["accepted"] == sum(parts.values()), (sink, count)
        return counts

    def _rows(self) -> dict[str, dict[str, int]]:
        """How many deliveries there are by sink and state, counted one by one."""
        rows: dict[str, dict[str, int]] = {}
        for delivery in self.all("deliveries"):
            sink = rows.setdefault(delivery["sink"], {})
            sink[delivery["state"]] = sink.get(delivery["state"], 0) + 1
        return rows


class Receiver:
    """An HTTP server that keeps what it takes (what it answers with a 2xx). `answer(path, headers, body)` gives status, headers and body."""

    def __init__(self, answer: Callable[[str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]] | None = None) -> None:
        self.answer = answer or (lambda path, headers, body: (200, {}, b"{}"))
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

            def do_POST(self) -> None:
                expected = int(self.headers.get("content-length", 0))
                body = self.rfile.read(expected)
                if len(body) < expected:
                    return  # the sender was killed in the middle of it
                headers = {key.lower(): value for key, value in self.headers.items()}
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                status, extra, content = receiver.answer(self.path, headers, body)
                if status < 300:
                    with receiver._lock:
                        receiver.got.append((self.path, headers, body))
                self.send_response(status)
                for key, value in ({"content-length": str(len(content))} | extra).items():
                    self.send_header(key, value)
                try:
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the sender was killed before it read the answer

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a sender that was killed is no news here

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def documents(self) -> list[dict]:
        with self._lock:
            return [json.loads(body) for _, _, body in self.got]


class Hec(Receiver):
    """Splunk's HTTP Event Collector, scripted from its documents (facts: token, code 0, concatenated objects)."""

    def __init__(self, token: str) -> None:
        self.events: list[dict] = []
        self.busy = 0  # how many requests to answer with 503 first
        super().__init__(lambda path, headers, body: self._take(token, path, headers, body))

    def _take(self, token: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if headers.get("authorization") != f"Splunk {token}":
            return 403, {}, b'{"text":"Invalid token","code":4}'
        if path != "/services/collector/event":
            return 404, {}, b'{"text":"The requested URL was not found on this server.","code":404}'
        if self.busy:
            self.busy -= 1
            return 503, {}, b'{"text":"Server is busy","code":9}'
        decoder, text, at = json.JSONDecoder(), body.decode(), 0
        found = []
        while at < len(text):
            event, at = decoder.raw_decode(text, at)
            assert "event" in event, event
            found.append(event)
        self.events += found
        return 200, {}, b'{"text":"Success","code":0}'


class Bulk(Receiver):
    """Elasticsearch's `_bulk`, scripted from its documents: `create` is put-if-absent, items in the request's order."""

    def __init__(self, key: str) -> None:
        self.stored: dict[str, dict] = {}
        self.order: list[str] = []
        self.throttle = 0  # how many items to answer with 429 first
        super().__init__(lambda path, headers, body: self._take(key, path, headers, body))

    def _take(self, key: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if headers.get("authorization") != f"ApiKey {key}":
            return 401, {}, b'{"error":{"type":"security_exception"},"status":401}'
        assert path == "/_bulk", path
        assert body.endswith(b"\n"), body[-80:]
        lines = [json.loads(line) for line in body.splitlines()]
        items = [self._item(action["create"], document) for action, document in zip(lines[::2], lines[1::2], strict=True)]
        return 200, {}, json.dumps({"errors": any(item["create"]["status"] > 201 for item in items), "items": items}).encode()

    def _item(self, action: dict, document: dict) -> dict:
        if self.throttle:
            self.throttle -= 1
            return {
                "create": {
                    "_id": action["_id"],
                    "status": 429,
                    "error": {"type": "es_rejected_execution_exception", "reason": "full"},
                }
            }
        if action["_id"] in self.stored:
            return {"create": {"_id": action["_id"], "status": 409, "error": {"type": "version_conflict_engine_exception"}}}
        self.stored[action["_id"]] = document
        self.order.append(action["_id"])
        return {"create": {"_id": action["_id"], "status": 201}}
