"""
Configuration written by attackers, by kind, in a process of its own that may use little memory: each file is refused, or harmless,
in under 250 ms. `gateway validate` runs on the pull requests of strangers. `pytest -s` prints the counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import apart, slowness

LONGEST = 0.25  # seconds for a file, on the usual machine
MEMORY = 1 << 30  # bytes of address space for all of them

PROVIDER = """\
title: T
auth: {{ scheme: none, because: a test }}
map: {{ action: {{ default: notice }}, severity: {{ default: info }}, summary: {summary} }}
"""


def as_summary(text: str) -> str:
    return PROVIDER.format(summary=json.dumps(text))


def bombs() -> Iterator[str | bytes]:
    yield "a: &a [x]\n" + "".join(f"{name}: &{name} [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" for name in "bcdefghi")
    yield "".join(f"k{n}: &k{n}\n  <<: [*k{n - 1}, *k{n - 1}]\n" if n else "k0: &k0 { a: b }\n" for n in range(30))
    yield "a: &a\n  b: *a\n"
    for depth in (50, 1_000, 100_000, 500_000):
        yield "[" * depth
        yield "[" * depth + "]" * depth
        yield "{a: " * depth
        yield "- " * depth + "x"
    yield "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 1_000))
    yield "a: [" + "1," * 400_000 + "1]"
    yield "".join(f"k{n}: 1\n" for n in range(100_000))
    yield "".join("same: 1\n" for _ in range(100_000))
    yield "---\na: 1\n" * 50_000
    yield "a: !!python/object/apply:os.system ['true']"
    yield "a: !!binary AAAA"
    yield "!!set { a, b }"
    yield "%YAML 1.1\n---\na: 1\n"
    yield "a: " + "9" * 200_000
    yield "a: 1" + "0" * 5_000
    yield "a: 1e999999999"
    yield "a: .nan"
    yield "a: 0x" + "f" * 100_000
    yield "a: 190:20:30"
    yield "title: |\n" + "  x\n" * 200_000
    yield 'title: "' + "\\x41" * 200_000 + '"'
    yield "title: '" + "''" * 300_000 + "'"
    yield "? " * 1_000 + "a"
    yield "a: *" + "b" * 100_000
    yield b"\xff\xfe" + "title: x".encode("utf-16-le")
    yield b"\xef\xbb\xbf\xef\xbb\xbftitle: x"
    yield b"title: \x00\n"
    yield b"\x80" * 100_000
    yield b"title: \xed\xa0\x80"
    yield "title: \u202e\u2066x"
    yield "\t" * 100_000
    yield "#" * 1_000_000
    yield "#\n" * 500_000
    yield "x" * (1 << 21)
    yield ": " * 100_000
    yield "[}" * 50_000
    yield '"' * 100_000
    yield "&a " * 50_000
    yield "&" + "a" * 500_000 + " x"
    yield "like: " + "x" * 100_000
    yield "like: provider\n"


def templates() -> Iterator[str]:
    for text in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ item.__init__.__globals__ }}",
        "{{ item['__class__'] }}",
        "{{ item | attr('__class__') }}",
        "{{ '{0.__class__}'.format(item) }}",
        "{{ '%s' | format(item) }}",
        "{{ item.format_map({}) }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum.__globals__ }}",
        "{{ lipsum(n=100000) }}",
        "{{ range(999999999) | list }}",
        "{{ joiner() }}",
        "{{ namespace(a=1) }}",
        "{{ dict(a=1) }}",
        "{{ url_for.__globals__ }}",
        "{{ request.application.__globals__ }}",
        "{{ config }}",
        "{{ get_flashed_messages() }}",
        "{{ 'x' * 999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'x' | center(999999999) }}",
        "{{ 'x' | indent(999999999) }}",
        "{{ 'x'.ljust(999999999) }}",
        "{{ 'x'.zfill(999999999) }}",
        "{{ 'x' | wordwrap(1) }}",
        "{{ item | xmlattr }}",
        "{{ item | map(attribute='__class__') }}",
        "{{ item | pprint }}",
        "{{ item | batch(999999999) }}",
        "{{ item | tojson(indent=999999999) }}",
        "{{ caller() }}",
        "{{ debug() }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% from 'os' import system %}",
        "{% extends 'x' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set x = item %}",
        "{% call item() %}{% endcall %}",
        "{% for a in item recursive %}{{ loop(a) }}{% endfor %}",
        "{% raw %}{{ x }}",
        "{{ item.a" + ".a" * 20_000 + " }}",
        "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
        "{{ " + "[" * 20_000 + "]" * 20_000 + " }}",
        "{{ " + "-" * 20_000 + "1 }}",
        "{{ 1" + " + 1" * 15_000 + " }}",
        "{{ 1" + " if 1 else 1" * 5_000 + " }}",
        "{{ item" + " | lower" * 7_000 + " }}",
        "{% if item %}" * 4_000,
        "{{ item }}" * 6_000,
        "{{ '" + "a" * 60_000 + "' }}",
        "{{ " + "9" * 60_000 + " }}",
        "{{ item | matches('" + "(a" * 1_000 + ")" * 1_000 + "') }}",
        "{{ item | matches('(?<=a)b') }}",
        "{{ item | matches('(a)\\\\1') }}",
        "{{ item | matches('a{1,1000}{1,1000}{1,1000}') }}",
        "{{ item | capture('(((((((((a*)*)*)*)*)*)*)*)*)*b') }}",
        "{{ item | replace(item, item) }}",
        "{{ item | time(format='" + "%Y" * 500 + "') }}",
        "{{ item | time(zone='../../etc/passwd') }}",
        "{#" * 10_000,
        "{{{{{{{{{{{{",
        "}}" * 10_000,
    ):
        yield as_summary(text)


def paths() -> Iterator[str]:
    for text in (
        "$" + ".a" * 10_000,
        "$" + "[0]" * 10_000,
        "$" + "[*]" * 150,
        "$" + "..*" * 150,
        "$..*..*..*..*",
        "$[" + "9" * 400 + "]",
        "$[-" + "9" * 30 + "]",
        "$[0:99999999999999999999]",
        "$[::0]",
        "$[?(@.a =~ '(a+)+$')]",
        "$[?(@.a * 99999999999 > 1)]",
        "$.a * 99999999999",
        "$.`parent`",
        "$.`sub(/a/, b)`",
        "$.`split(,, 0, -1)`",
        "$.a.`len`",
        "$['" + "a" * 600 + "']",
        "$['a\\u0000']",
        "$[?" + "(" * 200,
        "$[?@.a==" + "1" * 450 + "]",
        "$[?" + "@.a && " * 60 + "@.a]",
        "$.a|$.b",
        "$.a where $.b",
        "$$$$",
        "$.",
        "$[",
        "$[']",
        "$\u202e.a",
    ):
        yield as_summary(text)
        yield as_summary("s") + f"events: {json.dumps(text)}\n"


def values() -> Iterator[str]:
    sink = "title: S\nrequest: {{ url: {url}, json: {{ a: b }} }}\n{more}\n"
    for url in (
        "http://user:pass@host/",
        "http://host/#fragment",
        "file:///etc/passwd",
        "gopher://x/",
        "javascript:alert(1)",
        "http://",
        "//host/",
        "http:///x",
        "http://[::1",
        "http://host:99999/",
        "http://host:0x50/",
        "http://ho st/",
        "http://h\\u0000/",
        "{{ event.url }}",
        "http://{{ event.source }}/",
        "{{ vars.x }}",
        "http://169.254.169.254/latest",
        "http://" + "a" * 70_000 + ".test/",
        "http://host/" + "{{ event.id }}" * 3_000,
    ):
        yield sink.format(url=json.dumps(url), more="")
    for more in (
        "limits: { concurrency: 0 }", "limits: { concurrency: -1 }", "limits: { concurrency: 99999999999999999999 }", "limits: { timeout: 1e400s }",
        "limits: { timeout: nan }", "limits: { timeout: -1s }", "limits: { timeout: 99999999999d }", "limits: { rate: 1/0s }", "limits: { rate: 0/s }",
        "limits: { rate: 1e99/s }", "retry: { attempts: 0 }", "retry: { attempts: 1e9 }", "retry: { max_delay: 1ns }", "batch: { events: 0 }",
        "batch: { events: 999999999999 }", "batch: { bytes: 1YiB }", "batch: { wait: -5s }", "breaker: { failures: -1 }", "match: { provider: ['" + "*" * 50_000 + "'] }",
        "match: { labels: { a: ['" + "?*" * 20_000 + "b'] } }", "match: { severity: [fatal] }", "tls: { ca_file: /dev/zero }", "tls: { client_cert: { file: ../../x } }",
        "auth: { scheme: bearer, token: { file: /etc/passwd } }", "auth: { scheme: bearer, token: { file: ../secret } }", 'auth: { scheme: bearer, token: { file: "a\\0b" } }',
        "auth: { scheme: bearer, token: literal }", "vars: { a: { env: 'A\\nB' } }", "vars: { a: { env: X, default: '" + "x" * 100_000 + "' } }",
    ):  # fmt: skip
        yield sink.format(url="http://host.test/", more=more)
    for network in ("0.0.0.0/33", "1.2.3.4/0", "::/129", "10.0.0.0/8 ", "a" * 10_000, "1.2.3.4.5"):
        yield as_summary("s") + f"allow_from: [{json.dumps(network)}]\n"
    for pattern in ("(" * 500, "a{1000}{1000}", "(?=a)", "\\C", "[z-a]", "(?P<a>x)(?P<a>y)", "x" * 20_000):
        yield as_summary("s") + f"missing: [{json.dumps(pattern)}]\n"


KINDS = {"YAML": bombs, "templates": templates, "JSONPaths": paths, "values": values}

CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
from gateway.config import check
from machine import least
from pathlib import Path
found = []
for file in json.loads(sys.argv[1]):
    seconds, problems = least(lambda: check([Path(file)]), float(sys.argv[3]))
    shown = len("".join(map(repr, problems)))
    found.append([file, seconds, len(problems), shown])
most = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024  # of this program alone
print(json.dumps([found, most]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_strangers_write_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    files = []
    for number, text in enumerate(KINDS[kind]()):
        content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        folder = "sinks.d" if content.startswith(b"title: S\n") else "providers.d"
        path = tmp_path / str(number) / folder / f"{kind.lower()}-{number}.yaml"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        files.append(str(path))
    found, most = apart(CHILD, json.dumps(files), str(MEMORY), str(LONGEST))
    slow = {Path(file).name: round(seconds, 2) for file, seconds, _, _ in found if seconds > LONGEST * slowness()}
    refused = sum(problems > 0 for _, _, problems, _ in found)
    print(f"\n{kind}: {len(found)} files, {refused} refused, {len(found) - refused} harmless; at most {most} MiB")
    assert slow == {}
    assert max(shown for *_, shown in found) < 100_000, "a problem is for people to read"
    assert most < 400
