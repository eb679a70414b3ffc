"""How fast one may go: tables of moments and what a bucket or a fuse says then."""

import pytest

from gateway.pace import Bucket, Fuse, Turns
from gateway.values import Rate, Rates


@pytest.mark.parametrize(
    "rate, moments",
    [
        # Each moment: the time, the tokens asked for, the seconds to wait (0.0: they are taken).
        ("2/s", [(0, 1, 0.0), (0, 1, 0.0), (0, 1, 0.5), (0.25, 1, 0.25), (0.5, 1, 0.0), (0.5, 1, 0.5), (9, 1, 0.0), (9, 1, 0.0), (9, 1, 0.5)]),
        ("60/m", [(0, 60, 0.0), (0, 1, 1.0), (1, 1, 0.0), (30, 30, 1.0), (31, 30, 0.0)]),
        ("1/h", [(0, 1, 0.0), (0, 1, 3600.0), (3599, 1, 1.0), (3600, 1, 0.0)]),
        ("2/s", [(0, 3, 0.0), (0, 1, 1.0), (1, 1, 0.0)]),  # more than it ever holds: as soon as it is full, and then the longer
        ("2/s", [(10, 2, 0.0), (5, 1, 0.5), (5.5, 1, 0.0)]),  # a clock that was set back gives nothing and takes nothing
    ],
)  # fmt: skip
def test_a_bucket_gives_its_tokens_at_once_and_then_at_its_rate(rate, moments):
    bucket = Bucket(Rate.read(rate))
    assert [bucket.wait(float(now), float(tokens)) for now, tokens, _ in moments] == pytest.approx(
        [wait for _, _, wait in moments]
    )


def test_a_bucket_that_owes_fills_from_below():
    bucket = Bucket(Rate.read("2/s"))
    bucket.take(4.0)
    moments = [(0.0, 1.5, 0), (0.5, 1.0, 0), (1.0, 0.5, 0), (1.5, 0.0, 1), (2.0, 0.0, 2), (99.0, 0.0, 2)]
    assert [(now, bucket.missing(now), bucket.whole(now)) for now, _, _ in moments] == moments


FAIL, LOCKED, SUCCEED = "fail", "locked", "succeed"


@pytest.mark.parametrize(
    "failures, moments",
    [
        # Each moment: the time, what happens, whether it is told (the fuse blew or was mended just now), the seconds to wait then.
        (3, [(0, FAIL, False, 0), (1, FAIL, False, 0), (2, FAIL, True, 60), (62, FAIL, False, 120), (182, SUCCEED, True, 0)]),
        (3, [(0, FAIL, False, 0), (1, FAIL, False, 0), (2, SUCCEED, False, 0), (3, FAIL, False, 0), (4, FAIL, False, 0)]),
        (3, [(0, LOCKED, True, 60), (60, SUCCEED, True, 0), (61, FAIL, False, 0), (62, LOCKED, True, 60)]),
        (1, [(0, FAIL, True, 60), (1, FAIL, False, 59), (2, FAIL, False, 58), (59, LOCKED, False, 1), (60, FAIL, False, 120)]),
        (1, [(0, FAIL, True, 60), (60, FAIL, False, 120), (180, FAIL, False, 240), (420, FAIL, False, 480), (900, FAIL, False, 900), (1800, FAIL, False, 900)]),
        (1, [(0, FAIL, True, 60), (60, FAIL, False, 120), (180, SUCCEED, True, 0), (181, FAIL, True, 60)]),
    ],
)  # fmt: skip
def test_a_fuse_blows_probes_and_is_mended(failures, moments):
    fuse, seen = Fuse(failures, 60.0), []
    for now, what, _, _ in moments:
        told = fuse.succeeded() if what == SUCCEED else fuse.failed(float(now), at_once=what == LOCKED)
        seen.append((now, what, told, fuse.wait(float(now))))
    assert seen == moments


def test_turns_are_taken_by_each_thing_for_itself_and_by_all_its_rates():
    turns = Turns(Rates.read("2/s 3/m"))
    asked = [("a", 0.0), ("a", 0.0), ("a", 0.0), ("b", 0.0), ("a", 0.5), ("a", 1.0), ("a", 20.0)]
    waits = [turns.wait(thing, now) for thing, now in asked]
    assert waits == pytest.approx([0.0, 0.0, 0.5, 0.0, 0.0, 19.0, 0.0])


def test_of_those_who_wait_each_has_a_moment_of_their_own():
    turns = Turns(Rates.read("2/s"))
    assert [turns.wait("a", 0.0) for _ in range(6)] == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.5, 2.0])
    assert [turns.wait("a", now) for now in (0.5, 1.0, 1.5, 2.0, 9.0)] == [0.0] * 5


def test_whoever_names_ever_new_things_shares_one_rate_and_takes_nobody_elses(monkeypatch):
    monkeypatch.setattr(Turns, "MOST", 3)
    turns = Turns(Rates.read("1/m"))
    asked = ["victim", "a", "b", "c", "d", "victim"]
    assert [turns.wait(thing, 0.0) for thing in asked] == [0.0, 0.0, 0.0, 0.0, 60.0, 60.0]
    assert [turns.wait(thing, 130.0) for thing in ("e", "f", "g", "h", "i")] == [0.0, 0.0, 0.0, 0.0, 60.0]  # theirs is over
