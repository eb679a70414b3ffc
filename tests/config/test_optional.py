"""`optional: true`: a value that a sink can do without, and what is left out while it is not set."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from trips import Receiver, brought, delivery

from gateway.config import load

SINK = """
title: T
vars: { url: { env: URL }, tenant: { env: TENANT, optional: true } }
secrets: { key: { file: key.txt, optional: true } }
auth: { scheme: bearer, token: { env: TOKEN, optional: true } }
request:
  url: "{{ vars.url }}/in"
  query: { key: "{{ secrets.key }}" }
  headers: { X-Scope-OrgID: "{{ vars.tenant }}" }
  json: { tenant: "{{ vars.tenant }}", said: $.summary }
"""


def configured(tmp_path: Path, environment: dict[str, str]):
    (tmp_path / "sinks.d").mkdir(exist_ok=True)
    (tmp_path / "sinks.d/s.yaml").write_text(SINK)
    (tmp_path / "gateway.yaml").write_text("catalogue: false\nsecrets_dir: secrets\n")
    return load(tmp_path, environment)


def sent(environment: dict[str, str]):
    text = SINK.replace("file: key.txt", "env: KEY")
    receiver = Receiver(lambda body: httpx2.Response(200))
    (result,) = brought(text, [delivery()], receiver, environment)
    assert result.state == "delivered", result.verdict
    (request,) = receiver.requests
    headers = {name: request.headers[name] for name in ("authorization", "x-scope-orgid") if name in request.headers}
    return str(request.url), headers, receiver.bodies[0]


def test_what_is_not_set_is_left_out_wherever_it_stands():
    assert sent({"URL": "https://sink.test"}) == ("https://sink.test/in", {}, {"said": "s1"})


def test_what_is_set_is_there():
    given = {"URL": "https://sink.test", "TENANT": "ops", "KEY": "k3y", "TOKEN": "t0ken"}
    headers = {"authorization": "Bearer t0ken", "x-scope-orgid": "ops"}
    assert sent(given) == ("https://sink.test/in?key=k3y", headers, {"tenant": "ops", "said": "s1"})


def test_a_sink_is_off_only_for_what_it_needs(tmp_path):
    assert configured(tmp_path, {}).off == {"s": "URL is not set"}
    assert configured(tmp_path, {"URL": "https://sink.test"}).off == {}


def test_half_of_a_rotation_is_a_mistake(tmp_path):
    text = SINK.replace("token: { env: TOKEN,", "token: { env: TOKEN, previous: { env: OLD },")
    (tmp_path / "sinks.d").mkdir()
    (tmp_path / "sinks.d/s.yaml").write_text(text)
    given = {"URL": "https://sink.test", "GATEWAY_CATALOGUE": "false"}
    assert load(tmp_path, given).off == {}
    assert load(tmp_path, given | {"OLD": "t0ken"}).off == {"s": "TOKEN is not set"}


def test_a_sink_is_another_one_once_it_is_set(tmp_path):
    without = configured(tmp_path, {"URL": "https://sink.test"}).marks["s"]
    assert configured(tmp_path, {"URL": "https://sink.test", "TENANT": " "}).marks["s"] == without
    assert configured(tmp_path, {"URL": "https://sink.test", "TENANT": "ops"}).marks["s"] != without


@pytest.mark.parametrize("content", [b"\xff", b"\n"])
def test_a_file_that_is_there_and_cannot_be_used_is_a_mistake(tmp_path, content):
    (tmp_path / "secrets").mkdir()
    assert configured(tmp_path, {"URL": "https://sink.test"}).off == {}
    (tmp_path / "secrets/key.txt").write_bytes(content)
    assert list(configured(tmp_path, {"URL": "https://sink.test"}).off) == ["s"]


def test_what_is_left_out_is_decided_when_the_files_are_loaded_and_anew_when_they_are_again(tmp_path):
    text = SINK.replace("{ env: TOKEN, optional: true }", "{ file: token.txt, optional: true }")
    (tmp_path / "secrets").mkdir()

    def loaded():
        configured(tmp_path, {})
        (tmp_path / "sinks.d/s.yaml").write_text(text)
        return load(tmp_path, {"URL": "https://sink.test"})

    def shown(config):
        auth = config.auth_of("s")
        return auth and auth.headers(config.secrets), sorted(config.scope_of("s")["secrets"])

    config, without = loaded(), (None, [])
    for token in ("t0ken", "an0ther"):  # neither was there when it was loaded
        (tmp_path / "secrets/token.txt").write_text(token)
        (tmp_path / "secrets/key.txt").write_text("k3y")
        assert (shown(config), shown(loaded())) == (without, ({"Authorization": f"Bearer {token}"}, ["key"]))
