"""A disk that another program keeps full, the reserve and all: nothing is sent twice, and nothing waits once there is room again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .stand import wait_for
from .test_faults import Senders, Stand, disk, standing

__all__ = ["disk"]


@contextmanager
def kept_full(folder: Path) -> Iterator[None]:
    """Whatever room there is, it is taken."""
    ballast, over = folder / "ballast", threading.Event()

    def fill() -> None:
        descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
        while not over.is_set():
            try:
                os.write(descriptor, b"x" * 4096)
            except OSError:
                time.sleep(0.001)
        os.close(descriptor)

    filler = threading.Thread(target=fill)
    filler.start()
    try:
        yield
    finally:
        over.set()
        filler.join()
        ballast.unlink()


def test_what_cannot_be_written_down_is_not_sent_and_nothing_is_sent_twice(disk: Path) -> None:
    if not os.path.ismount(disk / "disk"):
        pytest.skip("no file system can be mounted here, and this test fills one")
    with standing(disk) as stand:
        stand.well.answer = lambda path, headers, body: (200, {}, b"y" * 2_000)
        with Senders(stand.gateway.port) as senders:
            wait_for("the first webhooks", lambda: len(senders.taken) > 40)
            with kept_full(stand.disk):
                wait_for("somebody to be refused", lambda: senders.heard["503"])
                time.sleep(3)
                first = arrived(stand)
                time.sleep(3)
                later = arrived(stand)
            over = time.monotonic()
            wait_for("somebody to be let in again", lambda: senders.again(over))
        wait_for("every delivery", stand.gateway.drained, 15)
        counts = stand.gateway.assert_conserved()
        print(f"\n{first} arrived on a full disk, {later} three seconds later; taken {len(senders.taken)}, {dict(senders.heard)}")
        assert later == first
        for sink, receiver in (("well", stand.well), ("other", stand.other)):
            keys = [document["key"] for document in receiver.documents()]
            assert senders.taken <= set(keys)
            assert len(keys) == len(set(keys))
            assert counts[sink]["dead"] == 0


def arrived(stand: Stand) -> int:
    return len(stand.well.got) + len(stand.other.got)
