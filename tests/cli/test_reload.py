"""`gateway reload`: against no gateway, and looking only."""

from __future__ import annotations

import json

SINK = 'title: Pager\nvars: { url: { env: PAGER_URL } }\nrequest: { url: "{{ vars.url }}", json: $ }\n'
FILES = {"conf/sinks.d/pager.yaml": SINK, "conf/gateway.yaml": "catalogue: false\n"}


def test_where_no_gateway_answers_it_says_so(gateway):
    done = gateway("reload", "--url", "http://127.0.0.1:1")
    assert done == (3, "", "gateway: no gateway answers at http://127.0.0.1:1: no connection: connection refused\n")


def test_an_address_that_is_none_is_wrong_use(gateway):
    done = gateway("reload", "--url", "localhost:8080")
    assert done.code == 2
    assert "--url: 'localhost:8080' is no address; write it like http://127.0.0.1:8080" in done.err


def test_a_look_says_what_would_be_on_in_this_environment(gateway):
    done = gateway("reload", "--check", "--config", "conf", files=FILES)
    assert done == (
        0,
        "providers: 0, of which closed for want of a secret: 0\nsinks on: none\nsink pager is off: PAGER_URL is not set\n",
        "",
    )
    done = gateway("reload", "--check", "--config", "conf", "--format", "json", PAGER_URL="https://pager.test")
    assert (done.code, json.loads(done.out)) == (0, {"providers": [], "closed": {}, "sinks": ["pager"], "off": {}})


def test_a_look_at_broken_files_prints_every_problem(gateway):
    done = gateway("reload", "--check", "--config", "conf", files=FILES | {"conf/sinks.d/pager.yaml": "titel: Pager\nmach: {}\n"})
    assert (done.code, done.out) == (1, "")
    assert "conf/sinks.d/pager.yaml:1:1: titel: unknown key [unknown-key]" in done.err
    assert "conf/sinks.d/pager.yaml:2:1: mach: unknown key [unknown-key]" in done.err
    assert "2 problems in 1 file" in done.err
