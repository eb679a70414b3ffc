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
    What an event must have; what is not named may be anything. In `labels` and `details`, null says that a key must not be there.

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
    labels: dict[str, str | None] | None = None
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
    no_answer: Why none comes. `timeout`: it was sent, and nobody knows whether it arrived; `connect`: there was no connection, so
      it did not.
    """

    status: int = 200
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None
    no_answer: Literal["timeout", "connect"] | None = None

    def __post_init__(self) -> None:
        if self.no_answer and (self.status, self.headers, self.json, self.text) != (200, {}, None, None):
            raise ValueError("no_answer: where none comes, there is no status, header or body; take them away")


class ExpectedRequest(Keys, frozen=True):
    """
    What a request must have; what is not named may be anything, and what is named null must not be there.

    method: The HTTP method.
    url: The whole URL.
    headers: Headers it must have; with null, one that it must not have.
    json: The body as data: what is named must be there. A key that is null must not be there, nor as a null: where one is wanted,
      write the whole body as `text`. In a list, null is itself.
    text: The body, to the letter.
    form: Fields it must have; with null, one that it must not have.
    """

    method: str | None = None
    url: str | None = None
    headers: dict[str, str | None] = {}
    json: Any = None
    text: str | None = None
    form: dict[str, str | None] | None = None


class ExpectedDelivery(Keys, frozen=True):
    """
    What must come of it.

    requests: The requests of all tries, in order; their number must be right.
    printed: What a printing sink prints.
    verdict: What the answer means for the delivery; that of the last try, as all that follows.
    verdicts: The same for each event of a batch.
    after: The seconds to wait that the answer asks for.
    memory: What must be remembered for the incident and this sink by then; with null, what must not.
    cancelled: Nothing is sent: no step applies.
    """

    requests: list[ExpectedRequest] | None = None
    printed: str | None = None
    verdict: Verdict | None = None
    verdicts: list[Verdict] | None = None
    after: float | None = None
    memory: dict[str, Any] | None = None
    cancelled: bool = False

    def __post_init__(self) -> None:
        if self.verdict is not None and self.verdicts is not None:
            raise ValueError("give either verdict or verdicts")


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
    tries: How often it is tried, each time when it is due, as long as there is reason to. To ask again after `wait` counts here.
    now: The clock, RFC 3339, at the first try.
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
    tries: int = 1
    now: str | None = None

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError(f"tries: {self.tries} is none; give at least 1")
        if (self.event is None) == (self.events is None):
            raise ValueError("give either event or events")
