"""Processes under measurement: started, waited for, watched, stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import convert, to_builtins

from . import files
from .load import Load, Measured

GATEWAY = str(Path(sys.executable).with_name("gateway"))
NOWHERE = "http://127.0.0.1:9/"  # nothing listens on the discard port: a sink there is left alone, and its deliveries wait


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def load(of: Load) -> Measured:
    """Send, and measure."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(to_builtins(of))]
    done = subprocess.run(command, cwd=files.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return convert(json.loads(done.stdout), Measured)


class Process:
    """One that listens on a port."""

    def __init__(self, command: list[str], port: int, environment: dict[str, str], log: Path, ready: str) -> None:
        self.port, self._log = port, log
        self.began = time.perf_counter()
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, cwd=files.ROOT, env=environment, stdout=out, stderr=out)
        self.ready_after = self._wait(ready)

    @property
    def rss(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self) -> dict[str, float]:
        """Seconds of processor time so far, by thread."""
        found = {}
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            found[f"{name} {task.name}"] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def stop(self) -> None:
        """End it, and wait."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, path: str) -> float:
        while time.perf_counter() - self.began < 60:
            if self._process.poll() is not None:
                raise RuntimeError(f"it ended at once; see {self._log}: {self._log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5):
                    return time.perf_counter() - self.began
            except urllib.error.HTTPError:
                return time.perf_counter() - self.began
            except OSError:
                time.sleep(0.005)
        raise RuntimeError(f"it does not answer; see {self._log}")


@contextmanager
def noop() -> Iterator[Process]:
    """The handler that does nothing."""
    yield from _running("benchmarks.noop", "/")


@contextmanager
def naive() -> Iterator[Process]:
    """What most people would write first."""
    yield from _running("benchmarks.naive", "/", database=True)


@contextmanager
def receiver() -> Iterator[Process]:
    """A receiver that answers 200."""
    yield from _running("benchmarks.receiver", "/")


@contextmanager
def hanging() -> Iterator[int]:
    """A port where connections are taken, by the kernel, and nobody ever reads what is sent, or answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield int(listener.getsockname()[1])


def _running(module: str, ready: str, *, database: bool = False) -> Iterator[Process]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        port = free_port()
        command = [sys.executable, "-m", module, str(port)] + ([f"{directory}/database"] if database else [])
        process = Process(command, port, dict(os.environ), Path(directory) / "log", ready)
        try:
            yield process
        finally:
            process.stop()


@contextmanager
def gateway(
    root: Path, config: Path | None, environment: dict[str, str] | None = None, under: Sequence[str] = ()
) -> Iterator[Process]:
    """A gateway whose database and log lie in `root`; `under` is the command that runs it, if it is not to run by itself."""
    port = free_port()
    command = [*under, GATEWAY, "serve", "--port", str(port)] + (["--config", str(config)] if config else [])
    settings = {"GATEWAY_STORE": f"sqlite:///{root}/gateway.db", "GATEWAY_ADMIN_TOKEN": "a-token-for-nobody"}
    everything = {**os.environ, **settings, **files.ENVIRONMENT, **(environment or {})}
    process = Process(command, port, everything, root / "log", "/readyz")
    try:
        yield process
    finally:
        process.stop()


def delivered(process: Process, sink: str) -> int:
    """How many deliveries of a sink have arrived, durably."""
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f'gateway_deliveries{{sink="{sink}",state="delivered"}}'):
                return int(float(line.rpartition(" ")[2]))
    return 0
