"""Whatever a spec says and whatever a body holds: what is signed verifies, and one flipped bit of body, signature or secret does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import SecretUnset, Unverified
from gateway.signature import ByteTemplate, Clock, Place, Signature, Signed
from gateway.values import Duration, Reference, Secrets

NOW = 1_715_000_000
SECRET = Reference(env="SECRET")
words = st.text("abcdefgh-._:=, ", max_size=6)
prefixes = st.sampled_from(["", "v1=", "sha256=", "v1,", "Signature ", "t:"])
splits = st.sampled_from(["", ",", " ", ";", "|", ", "])
bodies = st.binary(max_size=200)
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: text.strip()
)
headers = st.text(st.characters(max_codepoint=255), min_size=1, max_size=20)


@st.composite
def specs(draw: st.DrawFn) -> Signature:
    """Any spec that loads and whose signature covers the whole body: a form's does not tell `+` from `%20`."""
    timed = draw(st.booleans())
    names = ["{{ timestamp }}"] if timed else []
    pieces = draw(
        st.permutations(
            ["{{ body }}", *names, *draw(st.sets(st.sampled_from(["{{ url }}", "{{ headers['X-Id'] }}", "{{ secret }}"])))]
        )
    )
    keys = draw(st.permutations(["{{ secret }}", *draw(st.sets(st.sampled_from(["{{ headers['X-Id'] }}", "salt", *names])))]))
    split = draw(splits)
    shared = timed and split and draw(st.booleans())
    parts: dict[str, Any] = {
        "secret": SECRET,
        "algorithm": draw(st.sampled_from(["sha1", "sha256", "sha512"])),
        "encoding": draw(st.sampled_from(["hex", "base64"])),
        "signed": ByteTemplate(draw(words).join(pieces)),
        "key": ByteTemplate("".join(keys)),
    }
    try:
        signature = Place(header="X-Signature", split=split, prefix=draw(prefixes))
        stamp = Clock(
            header="x-signature" if shared else "X-Time",
            split=split if shared else "",
            prefix="clock=" if shared else draw(prefixes),
        )
        return Signature(signature=signature, timestamp=stamp if timed else None, **parts)
    except ValueError:  # a prefix that holds what splits
        assume(False)
        raise


def signed_by(spec: Signature, sent: Signed, secret: str) -> Signed:
    made = {name.lower(): value for name, value in spec.sign(sent, Secrets({"SECRET": secret}), NOW).items()}
    return replace(sent, headers=dict(sent.headers) | made)


def holds(spec: Signature, sent: Signed, secret: str, now: float = NOW) -> bool:
    try:
        spec.verify(sent, Secrets({"SECRET": secret}), now)
    except Unverified:
        return False
    return True


def flip(data: bytes, bit: int) -> bytes:
    at, within = divmod(bit % (len(data) * 8), 8)
    return data[:at] + bytes([data[at] ^ 1 << within]) + data[at + 1 :]


@given(specs(), bodies, secrets, headers, st.integers(0, 10_000), st.integers(0, 10_000))
def test_what_is_signed_verifies_and_one_flipped_bit_does_not(spec, body, secret, header, bit, digit):
    sent = signed_by(spec, Signed(body, "https://gateway.test/hook?a=1", {"x-id": header}), secret)
    assert holds(spec, sent, secret)
    assert not holds(spec, replace(sent, body=flip(body, bit) if body else b"\0"), secret)

    value = sent.headers["x-signature"]
    digest = (
        value.rpartition(spec.signature.prefix)[2] if spec.signature.prefix else value.rpartition(spec.signature.split or "\0")[2]
    )
    changed = flip(digest.encode(), digit).decode("latin-1")
    same = spec.encoding == "hex" and changed.lower() == digest  # upper case is the same digit
    assert (
        holds(spec, replace(sent, headers=dict(sent.headers) | {"x-signature": value[: -len(digest)] + changed}), secret) is same
    )


@given(specs(), bodies, secrets, secrets)
def test_another_secret_does_not_verify(spec, body, secret, other):
    assume(
        Secrets({"S": secret}).reveal(Reference(env="S")).rstrip("\0")
        != Secrets({"S": other}).reveal(Reference(env="S")).rstrip("\0")
    )
    assert not holds(spec, signed_by(spec, Signed(body, "u", {"x-id": "1"}), secret), other)


@given(specs(), bodies, st.integers(-1000, 1000))
def test_a_timestamp_counts_to_the_second(spec, body, drift):
    sent = signed_by(spec, Signed(body, "u", {"x-id": "1"}), "secret")
    assert holds(spec, sent, "secret", NOW + drift) is (spec.timestamp is None or abs(drift) <= Duration.read("5m"))


@given(specs(), bodies, secrets, secrets)
def test_with_two_secrets_either_verifies(spec, body, current, old):
    rotating = replace(spec, secret=Reference(env="SECRET", previous=Reference(env="OLD")))
    for signer in (current, old):
        sent = signed_by(spec, Signed(body, "u", {"x-id": "1"}), signer)
        rotating.verify(sent, Secrets({"SECRET": current, "OLD": old}), NOW)


@given(
    specs(),
    bodies,
    st.dictionaries(st.sampled_from(["x-signature", "x-time", "x-id"]), st.text(max_size=60)),
    st.sets(st.sampled_from(["x-signature", "x-time", "x-id"])),
)
def test_whatever_a_stranger_writes_is_refused_in_words_that_hold_nothing_of_it(spec, body, written, repeated):
    with pytest.raises(Unverified) as caught:
        spec.verify(Signed(body, "u", written, frozenset(repeated)), Secrets({"SECRET": "s3cret-s3cret"}), NOW)
    said = str(caught.value)
    assert "s3cret" not in said
    assert not any(value in said for value in written.values() if len(value) > 20)


@given(specs(), bodies, st.sampled_from(["", " ", "\n", "\r\n", "\t "]))
def test_a_blank_secret_neither_signs_nor_opens_a_door(spec, body, blank):
    sent = signed_by(spec, Signed(body, "u", {"x-id": "1"}), "secret")
    for use in (spec.verify, spec.sign):
        with pytest.raises(SecretUnset, match=r"^SECRET is not set$"):
            use(sent, Secrets({"SECRET": blank}), NOW)
