"""What the expression language says when it refuses."""

from gateway.expr import ExpressionError


def said(call, *arguments):
    """The whole message of the ValueError or ExpressionError that a call raises."""
    try:
        value = call(*arguments)
    except (ValueError, ExpressionError) as error:
        return str(error)
    raise AssertionError(f"nothing was refused, and the value is {value!r}")
