"""
What the types cannot say: one function per rule, and its docstring is its page: what is wrong, why that matters, how to mend it.

To add a rule, write it in the file of the kind it is about and name it in one of the tables below; golden folders in
tests/config/problems show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from ..problems import SEALED
from ..schema import Provider, Settings, Sink
from ..yaml import MOST_PROBLEMS, Document
from .findings import Rule
from .providers import (
    deaf_cases,
    early_handshakes,
    expressions_in_tables,
    let_names,
    long_expressions,
    missing_fields,
    one_key_for_all,
    poll_is_later,
    unreachable_headers,
    unreachable_redactions,
)
from .settings import shadowing_aliases, wrong_settings
from .shared import (
    forgotten_braces,
    misplaced_options,
    rows_alike,
    same_test_names,
    secrets_written_out,
    unknown_names,
    unknown_tables,
    unknown_variables,
)
from .sinks import meaningless_tests, same_step_names, unknown_fields

_BOTH: Mapping[str, Rule] = {
    "unknown-name": unknown_names,
    "unknown-table": unknown_tables,
    "unknown-variable": unknown_variables,
    "no-braces": forgotten_braces,
    "table": rows_alike,
    "test-name": same_test_names,
    SEALED: secrets_written_out,
    "optional": misplaced_options,
}
PROVIDER_RULES: Mapping[str, Rule] = {
    **_BOTH,
    "let-name": let_names,
    "literal": expressions_in_tables,
    "missing-key": missing_fields,
    "one-key": one_key_for_all,
    "header-name": unreachable_headers,
    "deaf-case": deaf_cases,
    "long-expression": long_expressions,
    "early-handshake": early_handshakes,
    "redact": unreachable_redactions,
    "not-yet": poll_is_later,
}
SINK_RULES: Mapping[str, Rule] = {
    **_BOTH,
    "unknown-field": unknown_fields,
    "step-name": same_step_names,
    "test-event": meaningless_tests,
}
SETTINGS_RULES: Mapping[str, Rule] = {"setting": wrong_settings, "alias-path": shadowing_aliases, SEALED: secrets_written_out}

RULES: Mapping[type, Mapping[str, Rule]] = {Provider: PROVIDER_RULES, Sink: SINK_RULES, Settings: SETTINGS_RULES}


def lint(document: Document, thing: Any) -> None:
    """Report what breaks a rule."""
    for name, rule in RULES.get(type(thing), {}).items():
        for finding in islice(rule(thing), MOST_PROBLEMS):
            document.report(finding.path, name, finding.message, finding.hint, key=finding.key, word=finding.word)


__all__ = ["RULES", "lint", "wrong_settings"]
