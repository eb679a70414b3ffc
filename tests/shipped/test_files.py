"""Every file in providers.d and sinks.d: right, proved by its own tests, and with no vendor in the code that reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.schema import _texts
from gateway.config import check, load
from gateway.config.files import KINDS, TESTS, catalogue_sources, read_sources
from gateway.config.public import SCHEMAS
from gateway.config.schema import Provider, Settings, Sink
from gateway.config.schemas import undescribed
from gateway.trials import run_provider_tests, run_sink_tests

ROOT = Path(__file__).parents[2]
CONFIG = load(None, {}, tests=True)
OUTCOMES = [outcome for name, provider in CONFIG.providers.items() for outcome in run_provider_tests(name, provider)] + [
    outcome for name, sink in CONFIG.known_sinks.items() for outcome in run_sink_tests(name, sink, CONFIG)
]
VENDORS = re.compile(
    r"alertmanager|prometheus|grafana|datadog|sentry|github|gitlab|bitbucket|cloudwatch|splunk|slack|elastic|pagerduty|opsgenie"
    r"|newrelic|dynatrace|honeycomb|pingdom|stripe|svix|posthog|zabbix|nagios|victorops|discord|twilio|jira|servicenow"
    r"|azure|appdynamics|uptime|checkmk|statuscake|site24x7|healthchecks|rollbar|argocd|falco|cloudflare|netdata|eventbridge"
    r"|amazon|google|microsoft|better|loki|ntfy|statuspage|otlp",
    re.IGNORECASE,
)
# Words that are a name of ours or a format's: where they stand and why.
ALLOWED = {
    "gateway/cli/serve.py": "the first curl that a newcomer pastes is a real body",
    "gateway/stages/verify/sns.py": "a signature scheme that no data could describe",
    "gateway/telemetry.py": "prometheus_client: the format of /metrics",
    "gateway/cli/reference.py": "prometheus_client: the format of /metrics",
    "gateway/web/health.py": "the format of /metrics",
    "gateway/config/problems.py": "output formats: GitHub's workflow commands",
    "gateway/cli/validate.py": "output formats: GitHub's workflow commands",
}


def test_every_shipped_file_is_right():
    assert check([ROOT / "providers.d", ROOT / "sinks.d", ROOT / "examples"]) == []


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: f"{outcome.file}: {outcome.name}")
def test_a_shipped_file_means_what_its_tests_say(outcome):
    assert outcome.failures == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_file_has_tests_of_its_own(kind):
    tested = {outcome.file for outcome in OUTCOMES}
    assert {f"{source.kind}/{source.name}" for source in catalogue_sources() if source.kind == kind} <= tested


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_are_the_last_part_of_a_file_which_is_not_read_to_run_it(kind):
    for source in catalogue_sources():
        rest = source.path.read_bytes().partition(TESTS)[2]
        assert rest, source.path
        assert re.findall(rb"^\S.*", rest, re.MULTILINE) == [], source.path
    whole, run = (read_sources(catalogue_sources(tests=tests)).data[kind] for tests in (True, False))
    assert {name: {key: value for key, value in data.items() if key != "tests"} for name, data in whole.items()} == run


def test_what_nobody_uses_is_read_only_when_it_is_asked_for_and_is_then_the_same():
    later, at_once = load(None, {}), load(None, {}, tests=True)
    assert (sorted(later.providers), sorted(later.known_sinks)) == (sorted(at_once.providers), sorted(at_once.known_sinks))
    assert (list(later.sinks), later.off, later.shipped) == (list(at_once.sinks), at_once.off, at_once.shipped)
    assert set(later.off.values()) == {reason for reason in at_once.off.values() if reason.endswith("not set")}
    assert later.providers["stripe"].title == at_once.providers["stripe"].title
    assert "stripe" in later.providers
    assert "nobody" not in later.providers
    assert later.providers.get("nobody") is None


def test_what_has_its_variables_is_read_at_once_and_its_secrets_are_masked():
    config = load(None, {"PAGERDUTY_ROUTING_KEY": "r0uting-key", "STRIPE_WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 4})
    assert "pagerduty" in config.sinks
    assert config.secrets.mask("r0uting-key whsec_" + "c2VjcmV0" * 4) == "*** ***"


def test_the_catalogue_is_what_the_issue_names():
    named = """
        aws-eventbridge azure-monitor better-uptime bitbucket cloudwatch datadog dynatrace appdynamics elastic github gitlab
        google-cloud-monitoring grafana honeycomb newrelic pagerduty pingdom posthog prometheus sentry splunk splunk-oncall
        splunk-observability uptime-kuma uptimerobot generic opsgenie zabbix checkmk nagios statuscake site24x7 healthchecks
        rollbar argocd falco cloudflare netdata cloudevents standard-webhooks slack stripe azure-event-grid gcp-pubsub
        pagerduty-events alertmanager-api
    """
    assert sorted(CONFIG.providers) == sorted(named.split())
    sinks = """
        splunk-hec splunk-hec-raw splunk-hec-ack email syslog nats kafka datadog-events datadog-events-v2 datadog-logs elastic slack-webhook slack pagerduty opsgenie teams
        discord loki otlp-logs alertmanager grafana-annotations github-issue jira servicenow statuspage twilio-sms ntfy json webhook
        webhook-timestamped webhook-standard template console
    """
    assert sorted(CONFIG.known_sinks) == sorted(sinks.split())


@pytest.mark.parametrize("kind, most", [("providers.d", 45), ("sinks.d", 40)])
def test_a_file_is_short_in_the_median_without_comments_and_tests(kind, most):
    sizes = sorted(_lines(source.path) for source in catalogue_sources() if source.kind == kind)
    assert sizes[len(sizes) // 2] <= most


def _lines(path: Path) -> int:
    text = path.read_text().partition("\ntests:")[0]
    return len([line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")])


def test_the_schemas_are_what_the_structs_say():
    assert {name: (ROOT / "schemas" / f"{name}.schema.json").read_text() for name in SCHEMAS} == _texts()


def test_every_key_of_every_file_is_described():
    assert [name for kind in (Provider, Sink, Settings) for name in undescribed(kind)] == []


def test_no_vendor_is_named_in_python():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        for number, line in enumerate(_code(path), 1)
        if VENDORS.search(line) and str(path.relative_to(ROOT)) not in ALLOWED
    ]
    assert found == []


def _code(path: Path) -> list[str]:
    """The file's lines with docstrings and comments blanked: a docstring may name the source of a fact."""
    blank = re.sub(r'"""[\s\S]*?"""', lambda found: "\n" * found[0].count("\n"), path.read_text())
    return [re.sub(r"(^|\s)#.*", "", line) for line in blank.splitlines()]
