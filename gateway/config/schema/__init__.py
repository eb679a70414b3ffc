"""The grammar of the YAML files: each stage's vocabulary, put in order. A key of a stage is added in its stage, never here."""

from .provider import Provider
from .settings import Retention, Settings
from .sink import Sink, Step
from .tests import ExpectedDelivery, ExpectedRequest, ProviderTest, SampleResponse, SampleWebhook, SinkTest

__all__ = [
    "ExpectedDelivery",
    "ExpectedRequest",
    "Provider",
    "ProviderTest",
    "Retention",
    "SampleResponse",
    "SampleWebhook",
    "Settings",
    "Sink",
    "SinkTest",
    "Step",
]
