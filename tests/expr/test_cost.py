"""
What the largest payload makes one function, path or pattern cost: it is refused or done in under half a second of processor time, and
with little memory. In a process of its own, so that one that is killed is seen.
"""

from __future__ import annotations

import json

import pytest
from machine import apart, slowness

LONGEST = 0.5  # seconds, on the usual machine
MOST_MEMORY = 100  # MiB, on top of the payload

EXPRESSIONS = [
    "{{ item.tags | strip_markup }}",
    "{{ item.open | strip_markup }}",
    "{{ item.stars | escape_markdown }}",
    "{{ item.emoji | urlencode }}",
    "{{ item.emoji | one_line }}",
    "{{ item.escaped | urldecode }}",
    "{{ item.text | trim(item.trim) }}",
    "{{ item.map | without(" + ", ".join(f"'{n}'" for n in range(3_000)) + ") }}",
    "{{ item.map | keys | join }}",
    "{{ item.map | merge(item.map) | length }}",
    "{{ item.map | prefixed('a') }}",
    "{{ item.lists | hash }}",
    "{{ item.lists | join(item.text) }}",
    "{{ item.text | replace('x', item.text) }}",
    "{{ item.json | from_json | length }}",
    "{{ item.dicts | where('a', 2) }}",
    "{{ item.dicts | pairs }}",
    "{{ item.commas | split | length }}",
    "{{ item.text | truncate(1000, unit='bytes') }}",
    "{{ item.ab | capture('([ab]*)(a)([ab]{90})$') }}",
    "{{ item.ab | matches('a[ab]{200}c|[ab]*a[ab]{20}d') }}",
    "{{ item.a == item.b }}",
    "{{ item.nowhere in item.text }}",
    "{% for a in item.lists %}{% for b in item.lists %}{% endfor %}{% endfor %}",
]
PATHS = [
    "$.lists[?@.a]",
    "$.lists[?(" + " || ".join(["@.a"] * 60) + ")]",
    "$.lists[?(" + " && ".join(["!@.a"] * 55) + ")]",
    "$.lists[?@[0]=='x'][0,0,0,0]",
    "$.ones[*][0" + ",0" * 200 + "]",
    "$.deep" + "[0,-1]" * 17 + "[0]" * 100,
    "$..*" + "[0,0]" * 50,
    "$..[*]..[*]..[*]..[*]",
]
PATTERNS = ["*a" + "?" * 400 + "b", "*a?" * 120 + "b", "*" * 500 + "b"]

CHILD = """
import json, resource, sys
from gateway.expr import ExpressionError, Inbound, Path
from gateway.values import Pattern
from machine import least
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
MIB = 1 << 20
lists = lambda size: json.loads("[" + "[]," * (size // 3 - 2) + "[]]")
deep = 1
for _ in range(90):
    deep = [deep]
item = {
    "text": "x" * MIB, "stars": "*" * MIB, "tags": "<a>" * (MIB // 3), "open": "<" * MIB, "emoji": chr(0x1F600) * (MIB // 4),
    "escaped": "%41" * (MIB // 3), "commas": "a," * (MIB // 2), "ab": "ab" * (MIB // 2), "trim": "y" * (MIB - 1) + "x", "short": "x" * 1_000,
    "json": "[" + '{"a":1},' * (MIB // 8 - 2) + "[]]", "lists": lists(MIB), "dicts": [{"a": 1} for _ in range(MIB // 8)],
    "a": lists(MIB // 2), "b": lists(MIB // 2), "map": {str(n): n for n in range(100_000)}, "x": "x", "nowhere": "x" * 1_000 + "y",
    "ones": [[1]] * 200_000, "deep": deep,
}
make = {
    "expressions": lambda each: (Inbound(each), {"item": item}),
    "paths": lambda each: (Path(each), item),
    "patterns": lambda each: (Pattern.read(each).matches, item["ab"]),
}[sys.argv[1]]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def said_by(call, given):
    try:
        call(given)
        return ""
    except ExpressionError as error:
        return str(error)
before, found = peak(), []
for each in json.load(sys.stdin):
    made = make(each)
    seconds, said = least(lambda: said_by(*made), float(sys.argv[2]))
    found.append([str(each)[:60], seconds, peak() - before, said])
print(json.dumps(found))
"""


@pytest.mark.parametrize("kind, them", [("expressions", EXPRESSIONS), ("paths", PATHS), ("patterns", PATTERNS)])
def test_the_largest_payload_costs_little(kind: str, them: list[object]) -> None:
    found = apart(CHILD, kind, str(LONGEST), given=json.dumps(them))
    for text, seconds, memory, said in found:
        print(f"{seconds:5.2f} s {memory:4} MiB  {text}  {said[-100:]}")
    assert [text for text, seconds, _, _ in found if seconds > LONGEST * slowness()] == []
    assert max(memory for _, _, memory, _ in found) < MOST_MEMORY
