"""The tests inside the files, run through the same code as real webhooks: a made-up clock, no network, no store."""

from .outcome import Outcome, differences
from .providers import run_provider_tests
from .samples import NOW, sample_webhook
from .sinks import run_sink_tests

__all__ = ["NOW", "Outcome", "differences", "run_provider_tests", "run_sink_tests", "sample_webhook"]
