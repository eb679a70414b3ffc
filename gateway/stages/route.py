"""Which sinks want this event. A sink subscribes; nobody addresses it."""

from __future__ import annotations

from functools import cached_property

from ..model import SEVERITIES, Action, Event, Severity
from ..values import Keys, Pattern


class Match(Keys, frozen=True):
    """
    Which events are wanted: every key that is given must hold, one value of its list is enough, `*` and `?` are wildcards.

    provider: Names of provider files.
    project: Projects.
    type: The event's type, in the provider's word. A sink that was told of an incident is told of its end, whatever its type.
    action: `trigger`, `acknowledge`, `resolve`, `notice`. This one always filters.
    severity: These severities; decides on triggers and notices only, so that a resolve goes where its trigger went.
    min_severity: This severity or a worse one; decides on triggers and notices only.
    labels: For each label the values it may have; decides on triggers and notices only.
    """

    provider: list[Pattern] | None = None
    project: list[Pattern] | None = None
    type: list[Pattern] | None = None
    action: list[Action] | None = None
    severity: list[Severity] | None = None
    min_severity: Severity | None = None
    labels: dict[str, list[Pattern]] = {}

    @cached_property
    def severities(self) -> frozenset[Severity]:
        """The severities that both keys let through."""
        worst_enough = SEVERITIES[SEVERITIES.index(self.min_severity) if self.min_severity else 0 :]
        return frozenset(worst_enough) & frozenset(self.severity if self.severity is not None else SEVERITIES)

    @cached_property
    def _takes_all(self) -> bool:
        return self == Match()

    def holds(self, event: Event) -> bool:
        """Whether the event is of the wanted kind. `wants` decides on its action."""
        return self._takes_all or (
            _fits(self.provider, event.provider)
            and _fits(self.project, event.project)
            and _fits(self.type, event.type)
            and (event.action in ("acknowledge", "resolve") or self._is_wanted_news(event))
        )

    def _is_wanted_news(self, event: Event) -> bool:
        """What a resolve says of severity and labels is no reason to keep it back: its trigger may have said otherwise."""
        return event.severity in self.severities and all(
            _fits(patterns, event.labels.get(name)) for name, patterns in self.labels.items()
        )

    def takes_from(self, provider: str) -> bool:
        """Whether anything of this provider is wanted."""
        return _fits(self.provider, provider)

    def wants(self, action: Action) -> bool:
        """Whether events with this action are wanted."""
        return self.action is None or action in self.action


def _fits(patterns: list[Pattern] | None, value: str | None) -> bool:
    return patterns is None or (value is not None and any(pattern.matches(value) for pattern in patterns))
