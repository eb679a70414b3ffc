"""
The way out, measured: what waits is delivered to a local receiver and written down, in each form a request may have; beside
a sink that hangs; and the memory that it takes. One run, its forms in turn in each round: read the ratios.

`python -m benchmarks.sinks [--quick]` prints the table as Markdown, in about six minutes, or one.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from itertools import product
from pathlib import Path

from msgspec import Struct

from . import files, stand
from .load import Load

SINK, HANGING = "s0", "hanging"
STUCK = 1_000  # deliveries that wait for the sink that hangs
SETTLES = 0.5  # seconds after a start that are not counted, and between looks


class Size(Struct, frozen=True):
    """How much is done: so many deliveries wait, and are watched for so many seconds."""

    rounds: int
    waiting: int
    seconds: float


FULL, QUICK = Size(6, 100_000, 1.5), Size(1, 40_000, 0.8)


class Form(Struct, frozen=True):
    """A way to say events to a sink. Its figures are compared with those of another, in the same round."""

    name: str
    said: str
    against: str = "one by one"
    beside: bool = False  # another sink hangs meanwhile


class Seen(Struct, frozen=True):
    """What was delivered and written down in a second, and what each delivery cost the whole process."""

    per_second: float
    cpu: float  # microseconds


_JSON = "json: { id: $.id, action: $.action, key: $.dedup_key, severity: $.severity, summary: $.summary, at: $.occurred_at }"
_TEXT = """\
headers: { Content-Type: application/json }
  text: |
    {"id": "{{ event.id }}", "action": "{{ event.action }}", "key": "{{ event.dedup_key }}",
     "severity": "{{ event.severity }}", "summary": "{{ event.summary }}", "at": "{{ event.occurred_at }}"}"""
_SIGNED = '\nsign: { secret: { env: BENCH_SECRET }, signature: { header: X-Signature, prefix: "sha256=" } }'


def _one(body: str, more: str = "") -> str:
    return f"request:\n  url: $URL\n  {body}{more}"


def _hundred(join: str, compress: str = "none") -> str:
    return _one(_JSON, f"\n  compress: {compress}\nbatch: {{ events: 100, wait: 50ms, join: {join} }}")


def _step(name: str) -> str:
    return f"\n  - name: {name}\n    request: {{ url: $URL, {_JSON} }}"


FORMS = [
    Form("one by one", _one(_JSON)),
    Form("one by one, beside a sink that hangs", _one(_JSON), beside=True),
    Form("one by one, a `text` template", _one(_TEXT)),
    Form("one by one, signed (HMAC)", _one(_JSON, _SIGNED)),
    Form("one by one, two steps", "steps:" + _step("first") + _step("second")),
    Form("100, `join: array`", _hundred("array")),
    Form("100, `join: lines`", _hundred("lines")),
    Form("100, `join: lines`, beside a sink that hangs", _hundred("lines"), "100, `join: lines`", beside=True),
    Form("100, `join: concat`", _hundred("concat")),
    Form("100, `join: array`, gzip", _hundred("array", "gzip")),
    Form("100, `join: lines`, gzip", _hundred("lines", "gzip")),
    Form("100, `join: concat`, gzip", _hundred("concat", "gzip")),
]


def _sink(name: str, url: str, said: str, *, timeout: str = "10s", failures: int = 5) -> str:
    """A sink file. One that refuses everything is left alone after so many failures, and what waits goes on to wait."""
    return (
        f"title: {name}\n{said.replace('$URL', url)}\nlimits: {{ timeout: {timeout}, concurrency: 32 }}\n"
        f"retry: {{ attempts: 100, first_delay: 1s, max_delay: 1s }}\nbreaker: {{ failures: {failures}, pause: 1h }}\n"
    )


def _gateway(root: Path, sinks: dict[str, str]) -> AbstractContextManager[stand.Process]:
    """A gateway on the database that lies in `root`, whose sinks are these."""
    return stand.gateway(root, files.write(root / "conf", sinks))


def _fill(process: stand.Process, first: int, waiting: int) -> None:
    """So many deliveries for each sink."""
    found = stand.load(Load(port=process.port, first=first, count=waiting // 2))  # of two alerts each
    if set(found.statuses) != {"202"}:
        raise RuntimeError(f"not all were taken: {found.statuses}")


def prepare(size: Size, alone: Path, beside: Path, url: str) -> tuple[float, float]:
    """
    Two databases, where deliveries wait for one sink, and for another that will hang. The memory (MiB) of the process that took
    them in, and when its sink was let in and has everything.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        root = Path(directory)
        with _gateway(root, {SINK: _sink(SINK, stand.NOWHERE, _hundred("lines"))}) as process:
            _fill(process, 0, size.waiting)
            waiting = process.rss
            for store in (alone, beside):
                _copy(root, store)
            (root / "conf" / "sinks.d" / f"{SINK}.yaml").write_text(_sink(SINK, url, _hundred("lines")))
            os.kill(process.pid, signal.SIGHUP)
            while stand.delivered(process, SINK) < size.waiting:
                time.sleep(SETTLES)
            delivered = process.rss
    with _gateway(beside, {name: _sink(name, stand.NOWHERE, _one(_JSON)) for name in (SINK, HANGING)}) as process:
        _fill(process, size.waiting, STUCK)
    return waiting, delivered


def _copy(root: Path, to: Path) -> None:
    """The database as it is, though a process has it open."""
    to.mkdir(exist_ok=True)
    with closing(sqlite3.connect(root / "gateway.db")) as here, closing(sqlite3.connect(to / "gateway.db")) as there:
        here.backup(there)


def forms(size: Size, alone: Path, beside: Path, url: str) -> Iterator[str]:
    """A line for each form. Each works on a copy, so that what was delivered waits again for the next."""
    found: defaultdict[str, list[Seen]] = defaultdict(list)
    with stand.hanging() as nobody:
        hanging = {HANGING: _sink(HANGING, f"http://127.0.0.1:{nobody}/", _one(_JSON), timeout="1s", failures=1_000_000)}
        for _, form in product(range(size.rounds), FORMS):
            with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
                root = Path(directory)
                _copy(beside if form.beside else alone, root)
                with _gateway(root, {SINK: _sink(SINK, url, form.said)} | (hanging if form.beside else {})) as process:
                    found[form.name].append(_watch(process, size))
    for form in FORMS:
        yield _line(form, found[form.name], found[form.against])


def _watch(process: stand.Process, size: Size) -> Seen:
    """For some seconds, and not in between: to count what waits costs as much as some deliveries."""
    time.sleep(SETTLES)
    before, cpu, began = stand.delivered(process, SINK), process.cpu, time.perf_counter()
    time.sleep(size.seconds)
    now, seconds, cpu = stand.delivered(process, SINK), time.perf_counter() - began, process.cpu - cpu
    if not before < now < size.waiting:
        raise RuntimeError(f"{before} were delivered when it began and {now} of {size.waiting} when it ended: let more wait")
    return Seen((now - before) / seconds, cpu / (now - before) * 1e6)


def _line(form: Form, ours: list[Seen], theirs: list[Seen]) -> str:
    ratio = statistics.median(one.per_second / other.per_second for one, other in zip(ours, theirs, strict=True))
    rate, cpu = statistics.median(each.per_second for each in ours), statistics.median(each.cpu for each in ours)
    return f"| {form.name} | {rate:,.0f} | {ratio:.2f}x | {cpu:,.0f} |"


def main() -> None:
    """Measure, and print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sinks", description="Measure what the gateway delivers.")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    size = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory, stand.receiver() as receiver:
        alone, beside, url = Path(directory) / "alone", Path(directory) / "beside", f"http://127.0.0.1:{receiver.port}/"
        waiting, delivered = prepare(size, alone, beside, url)
        print("| | delivered/s | of one by one; beside: of alone | CPU us each |\n| --- | ---: | ---: | ---: |")
        for line in forms(size, alone, beside, url):
            print(line)
    print(f"\nMemory with {size.waiting:,} deliveries waiting: {waiting:.0f} MiB; when they are delivered: {delivered:.0f} MiB.")


if __name__ == "__main__":
    main()
