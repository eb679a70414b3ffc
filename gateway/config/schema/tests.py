"""The tests that travel with the files."""

from __future__ import annotations

from typing import Any, Literal

from ...model import Action, Severity, Verdict
from ...values import Keys

Method = Literal["POST", "GET", "PUT", "PATCH", "OPTIONS"]  # that a provider may use


class SampleWebhook(Keys, frozen=True):
    """
    A webhook to try.

    method: The HTTP method.
    headers: Its headers.
    query: Its query parameters.
    path: What follows the provider's name in its path.
    payload: The body as data; sent as JSON.
    text: The body as text, where the bytes matter.
    """

    method: Method = "POST"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    path: str = ""
    payload: Any = None
    text: str | None = None


class ExpectedEvent(Keys, frozen=True):
    """
    What an event must have; what is not named may be anything.

    action: Its action.
    dedup_key: Its dedup key.
    severity: Its severity.
    summary: Its summary.
    type: Its type.
    source: Its source.
    occurred_at: When it happened.
    url: Where to look.
    project: Its project.
    labels: Labels it must have.
    details: Details it must have.
    """

    action: Action | None = None
    dedup_key: str | None = None
    severity: Severity | None = None
    summary: str | None = None
    type: str | None = None
    source: str | None = None
    occurred_at: str | None = None
    url: str | None = None
    project: str | None = None
    labels: dict[str, str] | None = None
    details: Any = None


class ProviderTest(Keys, frozen=True):
    """
    A test that travels with the file.

    name: What it shows, in a sentence.
    webhook: What comes in.
    now: The clock, RFC 3339, where a signature's age matters.
    secrets: Values for the variables and files that `auth` names. With them the webhook is verified; without them it is not.
    published: What lies at the addresses of public keys (`jwt`, `sns`).
    expect: The events that must come out, in order; a list of none says that nothing is said.
    dead: How many items must become dead letters.
    delivery_id: The sender's id of this delivery.
    reply: The answer, where it is a handshake.
    refused: The webhook must be refused: it is not signed as it should be.
    """

    name: str
    webhook: SampleWebhook
    now: str | None = None
    secrets: dict[str, str] = {}
    published: dict[str, str] = {}
    expect: list[ExpectedEvent] = []
    dead: int = 0
    delivery_id: str | None = None
    reply: dict[str, Any] | None = None
    refused: bool = False


class SampleResponse(Keys, frozen=True):
    """
    What a sink answers in a test.

    status: The HTTP status.
    headers: Its headers.
    json: The body as data.
    text: The body as text.
    """

    status: int = 200
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None


class ExpectedRequest(Keys, frozen=True):
    """
    What a request must have; what is not named may be anything.

    method: The HTTP method.
    url: The whole URL.
    headers: Headers it must have.
    json: The body as data: what is named must be there.
    text: The body, to the letter.
    form: Fields it must have.
    """

    method: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None
    form: dict[str, str] | None = None


class ExpectedDelivery(Keys, frozen=True):
    """
    What must come of it.

    requests: The requests, in order; their number must be right.
    printed: What a printing sink prints.
    verdict: What the answer means for the delivery.
    verdicts: The same for each event of a batch.
    after: The seconds to wait that the answer asks for.
    memory: What must be remembered for the incident and this sink by then.
    cancelled: Nothing is sent: no step applies.
    """

    requests: list[ExpectedRequest] | None = None
    printed: str | None = None
    verdict: Verdict | None = None
    verdicts: list[Verdict] | None = None
    after: float | None = None
    memory: dict[str, Any] | None = None
    cancelled: bool = False


class SinkTest(Keys, frozen=True):
    """
    A test that travels with the file.

    name: What it shows, in a sentence.
    event: The event to deliver; keys that are not given are filled in.
    events: Several events, for a batch.
    incident: The incident it belongs to.
    memory: What earlier deliveries remembered.
    vars: Values for `vars`; the others are made up.
    responses: What the sink answers, in order; 200 where nothing is said.
    now: The clock, RFC 3339.
    expect: What must come of it.
    """

    name: str
    expect: ExpectedDelivery
    event: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
    incident: dict[str, Any] | None = None
    memory: dict[str, Any] = {}
    vars: dict[str, str] = {}
    responses: list[SampleResponse] = []
    now: str | None = None

    def __post_init__(self) -> None:
        if (self.event is None) == (self.events is None):
            raise ValueError("give either event or events")
