"""What goes wrong while an expression is evaluated."""

from __future__ import annotations

from ..errors import GatewayError


class ExpressionError(GatewayError):
    """An expression has no value: it prints what is missing, or a function refuses its input. The message is for people."""


class FindsNothing(ExpressionError):
    """It prints what is missing: where nothing depends on it, it may be left out."""
