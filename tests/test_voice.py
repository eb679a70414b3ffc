"""Lines are written in order by a thread of their own; a reader that stalls holds up nobody, and what is lost is counted."""

from __future__ import annotations

import threading

import anyio
import pytest

from gateway import voice
from gateway.voice import Voice

pytestmark = pytest.mark.anyio


class Gate:
    """A stream whose reader stalls until it is opened."""

    def __init__(self):
        self.opened, self.entered, self.text = threading.Event(), threading.Event(), ""

    def write(self, text):
        self.entered.set()
        assert self.opened.wait(10)
        self.text += text

    def flush(self):
        pass


def test_lines_come_out_in_order():
    stream = Gate()
    stream.opened.set()
    said = Voice(stream)
    assert all(said.say(str(number)) for number in range(5_000))
    said.close()
    assert stream.text == "".join(f"{number}\n" for number in range(5_000))


def test_a_reader_that_stalls_costs_lines_and_no_time(monkeypatch):
    monkeypatch.setattr(voice, "BOUND", 3)
    stream, lost = Gate(), []
    said = Voice(stream, lost.append)
    assert said.say("first")
    assert stream.entered.wait(10)
    assert [said.say(f"line {number}") for number in range(5)] == [True, True, True, False, False]
    said.close(within=0.01)  # it waits no longer than it may
    assert lost == []
    stream.opened.set()
    while said._lines.qsize():
        pass
    assert said.say("last")
    said.close()
    assert lost == [2]
    assert stream.text == "first\nline 0\nline 1\nline 2\nlast\n"


async def test_who_must_know_waits_until_the_line_is_out():
    stream = Gate()
    said = Voice(stream)
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.05):
            await said.tell("news")
    stream.opened.set()
    await said.tell("more")
    said.close()
    assert stream.text == "news\nmore\n"


async def test_a_line_that_cannot_be_written_is_said_to_be_lost():
    class Closed(Gate):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(OSError, match=r"^the line could not be written$"):
        await Voice(Closed()).tell("news")
