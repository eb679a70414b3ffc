"""What stands in YAML beyond JSON's own types, and the secrets behind references."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import SecretUnset
from gateway.values import Duration, Keys, Network, Pattern, Rate, Rates, Reference, Secrets, Size, files, harmless
from gateway.values.spellings import marks_of, spellings


class Thing(Keys, frozen=True):
    """
    A thing.

    value: Where a value is kept.
    """

    value: Reference


def said(read: Any, *arguments: Any) -> Any:
    """What it gives, or what it says."""
    try:
        return read(*arguments)
    except (ValueError, SecretUnset) as error:
        return str(error)


DURATION, SIZE, RATE = (
    "write it like 500ms, 10s, 5m, 24h or 7d",
    "write it like 500B, 64KiB or 1MiB",
    "write it like 50/s, 100/m or 1800/d",
)
READINGS = {
    (Duration, "500ms"): 0.5,
    (Duration, "10s"): 10.0,
    (Duration, "1.5m"): 90.0,
    (Duration, "24h"): 86400.0,
    (Duration, "7d"): 604800.0,
    (Duration, "0s"): 0.0,
    (Duration, "5"): f"'5' is not a duration; {DURATION}",
    (Duration, 5): f"5 is not a duration; {DURATION}",
    (Duration, True): f"True is not a duration; {DURATION}",
    (Duration, "5M"): f"'5M' is not a duration; {DURATION}",
    (Duration, "5 m"): f"'5 m' is not a duration; {DURATION}",
    (Duration, "5min"): f"'5min' is not a duration; {DURATION}",
    (Duration, "5m\n"): f"'5m\\n' is not a duration; {DURATION}",
    (Duration, "-5m"): f"'-5m' is not a duration; {DURATION}",
    (Duration, "1e3s"): f"'1e3s' is not a duration; {DURATION}",
    (Duration, "٥s"): f"'٥s' is not a duration; {DURATION}",  # noqa: RUF001 - that is what is tested
    (Duration, "1234567890s"): f"'1234567890s' is not a duration; {DURATION}",
    (Size, "500B"): 500,
    (Size, "64KiB"): 65536,
    (Size, "1MiB"): 1048576,
    (Size, "1.5GiB"): 1610612736,
    (Size, "64KB"): f"'64KB' is not a size; {SIZE}",
    (Size, "64"): f"'64' is not a size; {SIZE}",
    (Size, 64): f"64 is not a size; {SIZE}",
    (Size, "9" * 400 + "B"): f"'{'9' * 400}B' is not a size; {SIZE}",
    (Rate, "50/s"): Rate(50.0, 1.0),
    (Rate, "100/m"): Rate(100.0, 60.0),
    (Rate, "5/h"): Rate(5.0, 3600.0),
    (Rate, "1800/d"): Rate(1800.0, 86400.0),
    (Rates, "50/s"): Rates([Rate(50.0, 1.0)]),
    (Rates, " 4/s  100/h 1800/d"): Rates([Rate(4.0, 1.0), Rate(100.0, 3600.0), Rate(1800.0, 86400.0)]),
    (Rate, "0/s"): f"'0/s' is not a rate; {RATE}",
    (Rate, "50"): f"'50' is not a rate; {RATE}",
    (Rate, 50): f"50 is not a rate; {RATE}",
    (Rate, "50/min"): f"'50/min' is not a rate; {RATE}",
    (Rate, "1.5/s"): f"'1.5/s' is not a rate; {RATE}",
    (Rate, "9" * 5000 + "/s"): f"'{'9' * 5000}/s' is not a rate; {RATE}",
    (Pattern, True): "True is not a text to match; write it in quotes",
    (Pattern, "*" + "a" * 512): "a pattern of 513 characters is too long; 512 are allowed",
    (Pattern, None): "None is not a text to match; write it in quotes",
    (Network, "10.0.0.0/33"): "'10.0.0.0/33' is no network; write it like 10.0.0.0/8 or 192.0.2.7",
    (Network, "10.1.2.3/8"): "'10.1.2.3/8' is no network; write it like 10.0.0.0/8",
    (Network, "office"): "'office' is no network; write it like 10.0.0.0/8 or 192.0.2.7",
    (Network, 10): "10 is no network; write it like 10.0.0.0/8 or 192.0.2.7",
}


@pytest.mark.parametrize("type, data", READINGS, ids=lambda each: str(each)[:40])
def test_a_value_is_read_from_its_text_or_says_how_to_write_it(type, data):
    assert said(type.read, data) == READINGS[type, data]


@pytest.mark.parametrize(
    "pattern, text, fits",
    [
        ("api", "api", True),
        ("api", "API", False),
        ("api", "apis", False),
        ("api-*", "api-", True),
        ("api-*", "api-1\n2", True),
        ("api-*", "my-api-1", False),
        ("a?c", "a\u2603c", True),
        ("a?c", "ac", False),
        ("*.example.com", "xexampleacom", False),
        ("[a]*(b)", "[a](b)", True),
        ("*", "", True),
        (5, "5", True),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_a_pattern_fits_the_whole_text_letter_by_letter(pattern, text, fits):
    assert Pattern.read(pattern).matches(text) is fits


@pytest.mark.parametrize(
    "text, says",
    [
        ("{}", "give either env or file"),
        ("{ env: A, file: a }", "give either env or file"),
        ("{ file: /etc/passwd }", "write a path relative to the secrets directory, without .."),
        ("{ file: a/../../b }", "write a path relative to the secrets directory, without .."),
        ("{ file: . }", "write a path relative to the secrets directory, without .."),
        ("{ file: '' }", "write a path relative to the secrets directory, without .."),
        ('{ file: "a\\0" }', "write a path relative to the secrets directory, without .."),
        (
            "{ env: A, previous: { env: B, previous: { env: C } } }",
            "only one value before this one is accepted; take the older one away",
        ),
    ],
)
def test_a_reference_names_one_place_that_it_may_name(text, says):
    document = Document("a.yaml", f"value: {text}")
    assert decode(document, Thing) is None
    assert [problem.message for problem in document.problems] == [says]


def test_a_value_is_read_with_its_prefix_and_one_newline_taken_off():
    values = {
        "plain": "plain",
        "one\n": "one",
        "windows\r\n": "windows",
        "two\n\n": "two\n",
        "return\r": "return\r",
        "in\nside": "in\nside",
        " spaces ": " spaces ",
        "whsec_abc": "abc",
        "whsec_whsec_abc": "whsec_abc",
        "whsec_": "NAME (nothing stands behind whsec_) is not set",
        "whsec_ \n": "NAME (nothing stands behind whsec_) is not set",
        "": "NAME is not set",
        "\n": "NAME is not set",
        " \t ": "NAME is not set",
        "\udcff": "NAME (it is not UTF-8 text) is not set",
    }
    reference = Reference(env="NAME", prefix="whsec_")
    assert {value: said(Secrets({"NAME": value}).reveal, reference) for value in values} == values
    assert said(Secrets({}).reveal, reference) == "NAME is not set"
    assert Secrets({"NAME": " "}).look_up(Reference(env="NAME", default="5")) == "5"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "secrets"
    (root / "..data").mkdir(parents=True)
    (tmp_path / "outside").write_text("not yours")
    for name, content in {
        "..data/token": b"tok\n",
        "crlf": b"tok\r\n",
        "empty": b"\n",
        "latin": b"p\xe4ss",
        "big": b"x" * 65537,
        "just": b"x" * 65536,
    }.items():
        (root / name).write_bytes(content)
    for name, target in {"token": "..data/token", "out": "../outside", "circle": "circle", "gone": "nothing"}.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    return root


FILES = {
    "token": "tok",  # as Kubernetes lays it out
    "crlf": "tok",
    "just": "x" * 65536,
    "empty": "file empty is not set",
    "big": "file big (it is larger than 64 KiB) is not set",
    "latin": "file latin (it is not UTF-8 text) is not set",
    "out": "file out (it leads out of the secrets directory) is not set",
    "..data": "file ..data (there is no such file in the secrets directory) is not set",
    "pipe": "file pipe (there is no such file in the secrets directory) is not set",
    "gone": "file gone (there is no such file in the secrets directory) is not set",
    "absent": "file absent (there is no such file in the secrets directory) is not set",
    "x" * 300: f"file {'x' * 300} (it cannot be read: File name too long) is not set",
}


def test_a_file_is_read_inside_its_directory_and_each_failure_says_why(directory):
    secrets = Secrets({}, directory)
    assert {name: said(secrets.reveal, Reference(file=name)) for name in FILES} == FILES
    circle = said(secrets.reveal, Reference(file="circle"))
    assert circle == "file circle (it cannot be read: links that lead in a circle) is not set"
    nowhere = said(Secrets({}).reveal, Reference(file="token"))
    assert nowhere == "file token (there is no secrets directory: set `secrets_dir` in gateway.yaml) is not set"


def test_a_file_that_may_not_be_read_is_a_secret_that_is_not_set(directory, monkeypatch):
    def refused(*arguments: Any, **more: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refused)  # these tests may run as root, who may read everything
    assert (
        said(Secrets({}, directory).reveal, Reference(file="token"))
        == "file token (it cannot be read: Permission denied) is not set"
    )


def test_a_snapshot_reads_each_place_once(directory):
    environment = {"NAME": "first"}
    secrets, places = Secrets(environment, directory), [Reference(env="NAME"), Reference(file="token"), Reference(file="late")]
    first = [said(secrets.reveal, place) for place in places]
    environment["NAME"] = "second"
    (directory / "..data/token").write_text("changed")
    (directory / "late").write_text("late")
    assert first == [said(secrets.reveal, place) for place in places]
    assert [said(Secrets(environment, directory).reveal, place) for place in places] == ["second", "changed", "late"]


def test_the_value_before_is_read_as_this_one_is_unless_it_says_otherwise():
    new = Reference(env="NEW", prefix="whsec_", decode="base64", previous=Reference(env="OLD"))
    own = Reference(env="NEW", previous=Reference(env="OLD", prefix="old_", decode="base64"))
    assert Secrets({"NEW": "whsec_bmV3", "OLD": "whsec_b2xk"}).keys(new) == [b"new", b"old"]
    assert Secrets({"NEW": "new", "OLD": "old_b2xk"}).keys(own) == [b"new", b"old"]
    assert Secrets({"NEW": "new", "OLD": "old_b2xk"}).accepted(own) == ["new", "b2xk"]
    assert Secrets({"NEW": "whsec_bmV3", "OLD": " "}).keys(new) == [b"new"]
    assert said(Secrets({"OLD": "whsec_b2xk"}).keys, new) == "NEW is not set"


@pytest.mark.parametrize(
    "value, key",
    [
        ("MfKQ9r8GKYqrTwjU", b"1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4"),
        ("YQ==", b"a"),
        ("YQ", b"a"),
        ("YQ===", "NAME (it is not base64) is not set"),
        ("Y", "NAME (it is not base64) is not set"),
        ("Y Q==", "NAME (it is not base64) is not set"),
        ("_-8=", "NAME (it is not base64) is not set"),
        ("==", "NAME (it is not base64) is not set"),
        ("p\xe4ss", "NAME (it is not base64) is not set"),
    ],
)
def test_a_key_is_decoded_or_says_that_it_is_not_base64(value, key):
    got = said(Secrets({"NAME": value}).keys, Reference(env="NAME", decode="base64"))
    assert got == (key if isinstance(key, str) else [key])


def test_a_secret_is_masked_however_it_is_written_and_the_longest_first():
    secrets = Secrets(
        {"A": "whsec_c2VjcmV0", "B": 'pa ss/"w\xf6rd', "C": "abc", "D": "c2VjcmV0-and-more", "E": "never given out"}
    )
    secrets.keys(Reference(env="A", prefix="whsec_", decode="base64"))
    for name in "BCD":
        secrets.reveal(Reference(env=name))
    secrets.look_up(Reference(env="E"))
    texts = {
        "whsec_c2VjcmV0": "***",
        "key c2VjcmV0.": "key ***.",
        "decoded: secret": "decoded: ***",
        "c2VjcmV0-and-more": "***",
        'pa ss/"w\xf6rd': "***",
        "?k=pa%20ss%2F%22w%C3%B6rd&": "?k=***&",
        "k=pa+ss%2F%22w%C3%B6rd": "k=***",
        "path pa%20ss/%22w%C3%B6rd": "path ***",
        '{"k":"pa ss/\\"w\\u00f6rd"}': '{"k":"***"}',
        '{"k":"pa ss/\\"w\xf6rd"}': '{"k":"***"}',
        "abc is too short to mask": "abc is too short to mask",
        "never given out": "never given out",
        "nothing": "nothing",
    }
    assert {text: secrets.mask(text) for text in texts} == texts
    revealed = secrets.revealed()
    assert [len(value) for value in revealed] == sorted(map(len, revealed), reverse=True)
    assert {"whsec_c2VjcmV0", "c2VjcmV0", "secret", 'pa ss/"w\xf6rd', "abc", "c2VjcmV0-and-more"} <= set(revealed)


# As they write it: RFC 3986 with reserved letters as they are (HTTP clients); PHP's json_encode; .NET's System.Text.Json; Go's encoding/json.
SPELLINGS = [
    "k3y/+w\xf6rd&",
    "k3y/+w%C3%B6rd&",
    '"k3y\\/+w\\u00f6rd&"',
    '"k3y/\\u002Bw\\u00F6rd\\u0026"',
    '"k3y/+w\xf6rd\\u0026"',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_however_its_receiver_repeats_it(spelling):
    secrets = Secrets({"A": "k3y/+w\xf6rd&"})
    secrets.reveal(Reference(env="A"))
    assert secrets.mask(f"no {spelling}!") == ("no " + ('"***"' if spelling.startswith('"') else "***") + "!")


def test_of_an_address_that_is_secret_what_its_receiver_sees_is_masked_too():
    secrets = Secrets({"HOOK": "https://us:pass%26word@hooks.test/services/T0/B0/h00kh00k?v=1&sig=s1g%2Fs1gs1gs1gs1g"})
    secrets.reveal(Reference(env="HOOK"))
    texts = {
        "Cannot POST /services/T0/B0/h00kh00k": "Cannot POST ***",
        "GET /services/T0/B0/h00kh00k?v=1&sig=s1g%2Fs1gs1gs1gs1g HTTP/1.1": "GET *** HTTP/1.1",
        '{"sig": "s1g/s1gs1gs1gs1g"}': '{"sig": "***"}',
        '{"path": "\\/services\\/T0\\/B0\\/h00kh00k"}': '{"path": "***"}',
        "Basic dXM6cGFzcyZ3b3Jk of us:pass&word": "Basic *** of us:***",
        "hooks.test/services and v=1 are nobody's secret": "hooks.test/services and v=1 are nobody's secret",
    }
    assert {text: secrets.mask(text) for text in texts} == texts


def test_the_words_in_an_address_that_is_secret_stay_in_what_goes_on_to_be_read():
    given = {
        "HOOK": "https://us:monitoring@hooks.test/api/v2/notifications?env=production-eu-west-1",
        "WORD": "production-eu-west-1",
    }
    secrets = Secrets(given)
    secrets.reveal(Reference(env="HOOK"))
    after_a_reload = Secrets({})
    after_a_reload.conceal_those_of(secrets)
    for each in (secrets, after_a_reload):
        words = "/api/v2/notifications?env=production-eu-west-1&job=monitoring"
        assert (each.remove(words), each.mask(words)) == (words, "***&job=***")
        assert each.remove(f"from {given['HOOK']}") == "from ***"
        assert each.remove("\ud800 " + words) == "\ud800 " + words  # half a surrogate pair is looked through in another way
    secrets.reveal(Reference(env="WORD"))
    assert secrets.remove("env=production-eu-west-1") == "env=***"


@pytest.mark.parametrize(
    "address", ["https://[x/services/T0/B0/h00kh00k", "https://x:y/", "https://", "://", "https://hooks.test/api"]
)
def test_an_address_that_is_none_or_says_little_is_masked_as_a_whole(address):
    secrets = Secrets({"HOOK": address})
    secrets.reveal(Reference(env="HOOK"))
    assert secrets.mask(f"<{address}> /api") == ("<***> /api" if len(address) > 3 else f"<{address}> /api")


def test_what_steers_a_terminal_is_made_visible():
    assert harmless("a\x1b[2J\u202eb\x00\r\n\tc\u2603") == "a\\u001b[2J\\u202eb\\u0000\\u000d\n\tc\u2603"


def test_what_all_spellings_of_a_secret_have_in_common_is_looked_for_first():
    address = "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXX"
    given = ("a-token-for-nobody", "c2VjcmV0+/aaa==", "p@ss&word", address, "\u00e9\u20ac\u00df\u00fc")
    all_of_them = [spelling for secret in given for spelling in spellings(secret)]
    marks = marks_of(all_of_them)
    assert [spelling for spelling in all_of_them if not any(mark in spelling for mark in marks)] == []
    assert {"nobody", "c2VjcmV0", "p@ss&word", "XXXXXXXXXXXXXXXX", "\u00e9\u20ac\u00df\u00fc"} <= set(marks)
    assert len(marks) < len(all_of_them)
    secrets = Secrets({})
    for secret in given:
        secrets.conceal(secret)
    assert [secrets.mask(f"<{each}>") for each in all_of_them] == ["<***>"] * len(all_of_them)
    assert secrets.mask("nobody has XXXXXXXXXXXXXXX") == "nobody has XXXXXXXXXXXXXXX"
