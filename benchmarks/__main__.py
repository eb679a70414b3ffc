"""
`make bench`: the goals, measured in one run against references in the same run. Each figure is the median of rounds, taken
in turn with its reference: this says more than seconds, which change from machine to machine.

`python -m benchmarks [--quick] [P1 P5 ...]`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from . import engine, files, profiled, stand
from .load import Load, Measured

SINKS = ("s0", "s1")


class Size(Struct, frozen=True):
    """How much is done."""

    rounds: int
    webhooks: int
    waiting: int
    memory: int


FULL, QUICK = Size(5, 10_000, 20_000, 100_000), Size(3, 3_000, 6_000, 10_000)


class Figure(Struct, frozen=True):
    """One line of the table."""

    name: str
    what: str
    measured: str
    goal: str
    stretch: str
    reached: bool


@contextmanager
def _fresh(*, more: int = 0, under: Sequence[str] = ()) -> Iterator[stand.Process]:
    """A gateway with two sinks that nobody answers for, so that deliveries are kept and wait."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        root = Path(directory)
        sinks = {name: files.sink(name, stand.NOWHERE) for name in SINKS}
        with stand.gateway(root, files.write(root / "conf", sinks, more=more), under=under) as process:
            yield process


@contextmanager
def _away(*, more: int = 0) -> Iterator[stand.Process]:
    """The same, when its sinks are left alone."""
    with _fresh(more=more) as process:
        _warm(process)
        yield process


def _warm(process: stand.Process) -> None:
    """Until the sinks have been given up, and everything has been used once."""
    stand.load(Load(port=process.port, first=10**9, count=500))
    time.sleep(6)


class Numbers:
    """Webhooks that nobody has sent yet."""

    def __init__(self) -> None:
        self._next = 0

    def load(self, process: stand.Process, count: int, **how: float) -> Measured:
        """Send so many, all of which must be taken."""
        first, self._next = self._next, self._next + count
        found = stand.load(Load(port=process.port, first=first, count=count, **how))  # type: ignore[arg-type]
        if set(found.statuses) - {"200", "201", "202"}:
            raise RuntimeError(f"not all were taken: {found.statuses}")
        return found


def ingest(size: Size) -> list[Figure]:
    """P1 and P2: durable ingest against a handler that does nothing, and against the naive way."""
    numbers = Numbers()
    ratios, naives, p99s, rates = [], [], [], []
    with stand.noop() as nothing, stand.naive() as naive, _away() as process:
        for _ in range(size.rounds):
            reference = numbers.load(nothing, size.webhooks)
            ours = numbers.load(process, size.webhooks)
            slow = numbers.load(naive, size.webhooks // 5)
            ratios.append(ours.per_second / reference.per_second)
            naives.append(ours.per_second / slow.per_second)
            rates.append(ours.per_second)
            p99s.append(ours.p99)
        half = [numbers.load(process, size.webhooks, rate=statistics.median(rates) / 2).p99 for _ in range(size.rounds)]
    ratio, rate = statistics.median(ratios), statistics.median(rates)
    full, halved = statistics.median(p99s), statistics.median(half)
    return [
        Figure("P1", "durable ingest / a handler that does nothing", f"{ratio:.2f}x", "1.0x", "1.5x", ratio >= 1),
        Figure("", "  webhooks/s, 64 connections", f"{rate:,.0f}/s", "", "", reached=True),
        Figure("", "  against the naive way", f"{statistics.median(naives):.1f}x", "", "", reached=True),
        Figure("P2", "p99 at 64 connections", f"{full:.1f} ms", "25 ms", "15 ms", full <= 25),
        Figure("", "p99 at half that load", f"{halved:.1f} ms", "10 ms", "5 ms", halved <= 10),
    ]


def pure(size: Size) -> list[Figure]:
    """P4: the engine alone."""
    ours, theirs = engine.measure()
    ratio = ours / theirs
    return [
        Figure("P4", "verify, decode, map / json.loads", f"{ratio:.1f}x", "4x", "2x", ratio <= 4),
        Figure("", "  microseconds of two alerts", f"{ours:.0f} us", "", "", reached=True),
    ]


def delivery(size: Size) -> list[Figure]:
    """P5: what waits, delivered to a local receiver and written down."""
    goals = {files.ONE: ("single", 3_000, 6_000), files.HUNDRED: ("batches of 100, gzip", 20_000, 40_000)}
    found = []
    for batch, (what, goal, stretch) in goals.items():
        rate = statistics.median(_drained(batch, size.waiting * (1 if batch is files.ONE else 4)) for _ in range(3))
        found.append(Figure("P5", f"delivered, {what}", f"{rate:,.0f}/s", f"{goal:,}", f"{stretch:,}", rate >= goal))
    return found


def _drained(batch: str, waiting: int) -> float:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory, stand.receiver() as receiver:
        root = Path(directory)
        config = files.write(root / "conf", {"s0": files.sink("s0", stand.NOWHERE, batch=batch)})
        with stand.gateway(root, config) as process:
            Numbers().load(process, waiting // 2)
        (config / "sinks.d" / "s0.yaml").write_text(files.sink("s0", f"http://127.0.0.1:{receiver.port}/", batch=batch))
        with stand.gateway(root, config) as process:
            first, began = stand.delivered(process, "s0"), time.perf_counter()
            while (last := stand.delivered(process, "s0")) < waiting:
                time.sleep(0.05)
            return (last - first) / (time.perf_counter() - began)


def beside(size: Size) -> list[Figure]:
    """P6: ingest while everything that comes in is delivered, in batches, as a share of ingest alone."""
    numbers, alone, both = Numbers(), [], []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory, stand.receiver() as receiver, _away() as quiet:
        root = Path(directory)
        sinks = {name: files.sink(name, f"http://127.0.0.1:{receiver.port}/", batch=files.HUNDRED) for name in SINKS}
        with stand.gateway(root, files.write(root / "conf", sinks)) as busy:
            _warm(busy)
            for _ in range(size.rounds):
                alone.append(numbers.load(quiet, size.webhooks).per_second)
                both.append(numbers.load(busy, size.webhooks).per_second)
                _settled(busy)
    share = 100 * statistics.median(b / a for a, b in zip(alone, both, strict=True))
    return [Figure("P6", "ingest with delivery beside it", f"{share:.0f} %", "60 %", "80 %", share >= 60)]


def _settled(process: stand.Process) -> None:
    """Until nothing new arrives."""
    before = -1
    while (now := sum(stand.delivered(process, sink) for sink in SINKS)) != before:
        before = now
        time.sleep(0.5)


def start(size: Size) -> list[Figure]:
    """P7: a thousand provider files validated; the whole catalogue started."""
    validated, started = [], []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        config = files.write(Path(directory) / "conf", {"s0": files.sink("s0", stand.NOWHERE)}, more=999)
        for other in (config / "sinks.d").glob("other-*"):
            other.unlink()
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([stand.GATEWAY, "validate", str(config)], check=True, capture_output=True)
            validated.append(time.perf_counter() - began)
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory, stand.gateway(Path(directory), None) as process:
            started.append(process.ready_after)
    check, ready = statistics.median(validated), statistics.median(started)
    return [
        Figure("P7", "validate 1,000 provider files", f"{check:.1f} s", "3 s", "1 s", check <= 3),
        Figure("", "start with the whole catalogue", f"{ready:.2f} s", "0.8 s", "0.5 s", ready <= 0.8),
    ]


def memory(size: Size) -> list[Figure]:
    """P8: resident memory."""
    numbers = Numbers()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory, stand.gateway(Path(directory), None) as process:
        time.sleep(1)
        idle = process.rss
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        root = Path(directory)
        with stand.gateway(root, files.write(root / "conf", {})) as process:
            numbers.load(process, size.memory)
            after = process.rss
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        root = Path(directory)
        with stand.gateway(root, files.write(root / "conf", {"s0": files.sink("s0", stand.NOWHERE)})) as process:
            numbers.load(process, size.memory // 2)
            waiting = process.rss
    return [
        Figure("P8", "memory idle, whole catalogue", f"{idle:.0f} MiB", "80 MiB", "60 MiB", idle <= 80),
        Figure("", f"after {size.memory:,} webhooks", f"{after:.0f} MiB", "120 MiB", "80 MiB", after <= 120),
        Figure("", f"with {size.memory:,} deliveries waiting", f"{waiting:.0f} MiB", "200 MiB", "120 MiB", waiting <= 200),
    ]


def many(size: Size) -> list[Figure]:
    """P9: a thousand providers and sinks of which two sinks match, against ten."""
    numbers, ratios = Numbers(), []
    with _away(more=10) as few, _away(more=1000) as lots:
        for _ in range(size.rounds):
            rate = numbers.load(few, size.webhooks).per_second
            ratios.append(rate / numbers.load(lots, size.webhooks).per_second)
    slower = 100 * (statistics.median(ratios) - 1)
    return [Figure("P9", "1,000 providers and sinks instead of 10", f"{slower:+.1f} %", "5 %", "1 %", slower <= 5)]


def profile(size: Size) -> list[Figure]:
    """Where the event loop's time goes while webhooks come in, in shares; the profiler itself slows what is small."""
    numbers = Numbers()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        out = Path(directory) / "profile"
        with _fresh(under=profiled.under(out)) as process:
            numbers.load(process, size.webhooks)
        found = profiled.shares(out)
    return [Figure("", f"  {part}", f"{share:.0%}", "", "", reached=True) for part, share in found.items()]


PARTS: dict[str, Callable[[Size], list[Figure]]] = {
    "P1": ingest,
    "P4": pure,
    "P5": delivery,
    "P6": beside,
    "P7": start,
    "P8": memory,
    "P9": many,
    "profile": profile,
}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the gateway.")
    parser.add_argument("parts", nargs="*", metavar="P1", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(PARTS)}")
    print(f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()}) {sys.executable}")
    print(f"{'':4}{'what':46}{'measured':>14}{'goal':>10}{'stretch':>10}")
    for name in given.parts or PARTS:
        for each in PARTS[name](QUICK if given.quick else FULL):
            mark = "" if each.reached else "  not reached"
            print(f"{each.name:4}{each.what:46}{each.measured:>14}{each.goal:>10}{each.stretch:>10}{mark}", flush=True)


if __name__ == "__main__":
    main()
