"""Times: every form that a vendor sends, to the nanosecond; "not set" is nothing, garbage is refused in words."""

import time

import pytest
from saying import said

from gateway.expr import Inbound, to_epoch, to_time
from gateway.expr.times import check_format, check_zone, to_nanoseconds


@pytest.mark.parametrize(
    "sent, meant",
    [
        ("2019-02-15T23:53:45.093+0000", "2019-02-15T23:53:45.093Z"),  # CloudWatch; Bitbucket and Site24x7 without a fraction
        ("2018-07-05T18:22:00+0530", "2018-07-05T12:52:00Z"),
        ("2019-03-22T13:58:24.3713213Z", "2019-03-22T13:58:24.3713213Z"),  # Azure: 7 digits
        ("2018-08-03T09:52:26.739266876+02:00", "2018-08-03T07:52:26.739266876Z"),  # Alertmanager, Grafana, Falco: 9
        ("2026-05-28T05:04:31.155Z", "2026-05-28T05:04:31.155Z"),
        ("2026-05-28T05:04:31.100Z", "2026-05-28T05:04:31.100Z"),
        ("2026-05-28T05:04:31.000Z", "2026-05-28T05:04:31Z"),
        ("2026-05-28T05:04:31,5z", "2026-05-28T05:04:31.5Z"),
        ("2016-08-12 15:23:28 UTC", "2016-08-12T15:23:28Z"),  # GitLab
        ("2025-05-02 12:30:19 +0000", "2025-05-02T12:30:19Z"),
        ("2023-06-12T08:24:38", "2023-06-12T08:24:38Z"),  # Pingdom: no zone
        ("2023-06-12 08:24:38.326", "2023-06-12T08:24:38.326Z"),  # Uptime Kuma
        ("2023.06.12 08:24:38", "2023-06-12T08:24:38Z"),  # Zabbix
        ("2023-06-12 08:24", "2023-06-12T08:24:00Z"),
        (" 2023-06-12T08:24:38Z\n", "2023-06-12T08:24:38Z"),
        ("Mon Apr 03 02:04:55 UTC 2023", "2023-04-03T02:04:55Z"),  # AppDynamics, Checkmk
        ("Mon Apr  3 02:04:55 GMT 2023", "2023-04-03T02:04:55Z"),
        ("Sat, 04 Jun 2016 05:01:00 GMT", "2016-06-04T05:01:00Z"),  # AWS Health: RFC 1123
        ("Sat, 04 Jun 2016 05:01:00 -0700", "2016-06-04T12:01:00Z"),
        ("4 Jun 2016 05:01:00", "2016-06-04T05:01:00Z"),
        (1686558278, "2023-06-12T08:24:38Z"),  # seconds
        ("1686558278", "2023-06-12T08:24:38Z"),  # UptimeRobot, Splunk: as text
        (1686558278.326, "2023-06-12T08:24:38.326Z"),  # Sentry: a float
        ("1686558278.000001", "2023-06-12T08:24:38.000001Z"),
        (1686558278326, "2023-06-12T08:24:38.326Z"),  # milliseconds: New Relic
        ("1746013550000", "2025-04-30T11:45:50Z"),  # Datadog: as text
        ("1686558278326001", "2023-06-12T08:24:38.326001Z"),  # microseconds: Checkmk
        (1686558278326000001, "2023-06-12T08:24:38.326000001Z"),  # nanoseconds: Opsgenie, Falco
        (1.686558278326e18, "2023-06-12T08:24:38.326Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    ],
)
def test_a_time_in_any_form_is_rfc_3339_in_utc(sent, meant):
    assert to_time(sent) == meant
    assert to_time(to_time(sent)) == meant


@pytest.mark.parametrize(
    "sent",
    [
        *(
            None,
            "",
            0,
            "0",
            -1,
            "-1",
            -1.5,
            0.0,
            False,
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+02:00",
            "0000-00-00 00:00:00",
        ),
        *("20122-06-07T05:24:20Z", 10**20, 10**400, 1e300, "9" * 30, 0.0000000001),
    ],
)
def test_a_time_that_says_not_set_is_nothing(sent):
    assert to_time(sent) is None


UNKNOWN = "is no time that we know; give its `format`"


@pytest.mark.parametrize(
    "sent, message",
    [
        ("yesterday", f"'yesterday' {UNKNOWN}"),
        ("2023-06-12", f"'2023-06-12' {UNKNOWN}"),
        ("12/06/2023 08:24", f"'12/06/2023 08:24' {UNKNOWN}"),
        ("2023-06-12T08:24:38.Z", f"'2023-06-12T08:24:38.Z' {UNKNOWN}"),
        ("2023-06-12T08:24:38.1234567890Z", f"'2023-06-12T08:24:38.1234567890Z' {UNKNOWN}"),
        ("١٢٣٤", f"'١٢٣٤' {UNKNOWN}"),
        ("1_000", f"'1_000' {UNKNOWN}"),
        ("0x10", f"'0x10' {UNKNOWN}"),
        (float("nan"), f"'nan' {UNKNOWN}"),
        ("inf", f"'inf' {UNKNOWN}"),
        ("$EVENT_TIME", f"'$EVENT_TIME' {UNKNOWN}"),
        ("2023-13-01T00:00:00Z", "'2023-13-01T00:00:00Z' is no time: month must be in 1..12"),
        ("2023-02-29T00:00:00Z", "'2023-02-29T00:00:00Z' is no time: day is out of range for month"),
        ("2023-02-28T24:00:00Z", "'2023-02-28T24:00:00Z' is no time: hour must be in 0..23"),
        (
            "2023-02-28T00:00:00+99:00",
            "'2023-02-28T00:00:00+99:00' is no time: there is no time zone '+99:00'; write it like Europe/Berlin or +02:00",
        ),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00 is no time: in UTC it lies outside of the years 1 to 9999"),
        (
            "Mon Apr 03 02:04:55 CEST 2023",
            "'Mon Apr 03 02:04:55 CEST 2023' is no time: CEST is the name of several zones; give its `zone`",
        ),
        (True, "true is no time"),
        ({"a": 1}, "a mapping is no time"),
        ([1], "a list is no time"),
        ("1" * 101, f"'{'1' * 80}' is no time; it is too long"),
        ("x" * 1_000_000, f"'{'x' * 80}' is no time; it is too long"),
    ],
)
def test_what_is_no_time_is_refused_in_words(sent, message):
    assert said(to_time, sent) == message


def test_the_machine_s_own_zone_plays_no_part(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert to_time("Sat, 04 Jun 2016 05:01:00") == "2016-06-04T05:01:00Z"
        assert to_time("12.06.2023 08:24", format="%d.%m.%Y %H:%M") == "2023-06-12T08:24:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "sent, zone, meant",
    [
        ("2023-06-12 08:24:38", "Europe/Berlin", "2023-06-12T06:24:38Z"),
        ("2023-12-12 08:24:38", "Europe/Berlin", "2023-12-12T07:24:38Z"),
        ("2023-06-12 08:24:38", "+05:30", "2023-06-12T02:54:38Z"),
        ("2023-06-12 08:24:38", "-0700", "2023-06-12T15:24:38Z"),
        ("2023-06-12 08:24:38", "UTC", "2023-06-12T08:24:38Z"),
        ("2023-06-12 08:24:38Z", "Europe/Berlin", "2023-06-12T08:24:38Z"),
        ("Mon Apr 03 02:04:55 CEST 2023", "Europe/Berlin", "2023-04-03T00:04:55Z"),
        (1686558278, "Europe/Berlin", "2023-06-12T08:24:38Z"),
        ("2023-10-29 02:30:00", "Europe/Berlin", "2023-10-29T00:30:00Z"),  # twice that night: the first
    ],
)
def test_a_zone_is_for_times_that_do_not_say_theirs(sent, zone, meant):
    assert to_time(sent, zone=zone) == meant


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "", "+25:00", "x\0", "CEST5", "é"]
)
def test_an_unknown_zone_is_an_error_in_words(zone):
    message = f"there is no time zone {zone!r}; write it like Europe/Berlin or +02:00"
    assert said(check_zone, zone) == message
    if zone:
        assert said(lambda: to_time("2023-06-12 08:24:38", zone=zone)) == f"'2023-06-12 08:24:38' is no time: {message}"


def test_an_unusual_form_is_read_by_its_format():
    assert to_time("12.06.2023 08:24", format="%d.%m.%Y %H:%M", zone="Europe/Berlin") == "2023-06-12T06:24:00Z"
    assert to_time("20230612", format="%Y%m%d") == to_time(20230612, format="%Y%m%d") == "2023-06-12T00:00:00Z"
    assert to_time("2023-06-12T08:24:38.5+0200", format="%Y-%m-%dT%H:%M:%S.%f%z") == "2023-06-12T06:24:38.5Z"
    assert said(lambda: to_time("x", format="%Y")) == "'x' is not of the format '%Y'"
    assert said(check_format, "%Q") == "'%Q' is no time format: 'Q' is a bad directive in format '%Q'"
    assert said(check_format, "%") == "'%' is no time format: stray % in format '%'"
    assert said(check_format, "%Y %Y") == "'%Y %Y' is no time format: it says one thing twice"


@pytest.mark.parametrize(
    "sent, seconds, nanoseconds",
    [
        ("2023-06-12T08:24:38.326Z", 1686558278.326, 1686558278326000000),
        ("2023-06-12T08:24:38.326000001Z", 1686558278.326, 1686558278326000001),
        ("2023-06-12T08:24:38.999999999Z", 1686558279.0, 1686558278999999999),
        (1686558278.1, 1686558278.1, 1686558278100000000),
        (1686558278.000001, 1686558278.000001, 1686558278000001000),
        ("1969-12-31T23:59:59.5Z", -0.5, -500000000),
        ("1970-01-01T00:00:00Z", 0.0, 0),
    ],
)
def test_an_epoch_is_exact(sent, seconds, nanoseconds):
    assert (to_epoch(sent), to_nanoseconds(sent)) == (seconds, nanoseconds)
    text = {"item": {"t": sent}}
    shapes = [Inbound.read(f"{{{{ item.t | {name} }}}}")(text) for name in ("epoch", "epoch_s", "epoch_ms", "epoch_ns")]
    assert shapes == [seconds, nanoseconds // 10**9, nanoseconds // 10**6, nanoseconds]


def test_every_microsecond_survives_as_an_epoch():
    for micro in [*range(0, 1_000_000, 997), 999_999]:
        text = f"2023-06-12T08:24:38.{micro:06d}Z"
        assert round(to_epoch(text) * 10**6) == 1686558278 * 10**6 + micro
        assert to_nanoseconds(to_epoch(text)) == to_nanoseconds(text)


def test_an_epoch_of_no_time_is_an_error():
    assert said(to_epoch, "0001-01-01T00:00:00Z") == "'0001-01-01T00:00:00Z' says that no time is set"
