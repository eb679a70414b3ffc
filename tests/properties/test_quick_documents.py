"""A document filled in as one generated expression is what it is leaf by leaf: the same values, types and order, or the same complaint."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from test_quick import EXPRESSIONS, KEYS, PATHS, SETTINGS, VALUES

from gateway.expr import OutboundDocument
from gateway.expr.errors import ExpressionError

LEAVES = st.one_of(
    PATHS.map(lambda path: "$" + path.removeprefix("item").removeprefix("payload")),
    EXPRESSIONS.map(lambda text: "{{ " + text.replace("item", "event").replace("payload", "incident") + " }}"),
    EXPRESSIONS.map(lambda text: "at {{ " + text.replace("item", "event") + " }}!"),
    st.sampled_from(["", "as it is", "{% if event.a %}yes{% endif %}", "$..a", "$.items[*].a"]),
    st.sampled_from([None, True, 0, 1.5]),
)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=5
)
SCOPES = st.fixed_dictionaries({"event": VALUES, "incident": VALUES}, optional={"tables": st.just({"t": {"on": "off"}})})


def outcome(fill: Any, scope: dict[str, Any]) -> tuple[str, str]:
    try:
        return "filled", repr(fill(scope))
    except ExpressionError as error:
        return "refused", str(error)


@SETTINGS
@given(DOCUMENTS, SCOPES)
def test_a_document_is_the_same_filled_in_at_once_as_leaf_by_leaf(data, scope):
    try:
        document = OutboundDocument.read(data)
    except ValueError:
        assume(False)
    assert outcome(document, scope) == outcome(document._fill, scope)


def test_the_usual_document_is_filled_in_at_once():
    document = OutboundDocument.read(
        {"id": "$.id", "text": "{{ event.a | upper }} on {{ event.b }}", "more": [{"n": 1, "x": "$.none"}]}
    )
    assert document._quickly({"event": {"id": "e", "a": "x", "b": 2}}) == {"id": "e", "text": "X on 2", "more": [{"n": 1}]}
    assert document._quickly != document._fill


def test_a_document_deeper_than_the_compiler_goes_is_filled_in_leaf_by_leaf():
    data: Any = "$.id"
    for _ in range(150):
        data = [data]
    document = OutboundDocument.read(data)
    assert document({"event": {"id": "e"}}) == document._fill({"event": {"id": "e"}})
    assert document._quickly == document._fill
