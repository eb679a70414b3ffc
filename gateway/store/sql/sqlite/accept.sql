-- Keeping webhooks. Each statement serves a whole group: its row of question marks is repeated as often as needed.

-- name: latest incidents
with wanted (provider, project, dedup_key) as (values (?, ?, ?))
select incidents.body
from wanted
join incidents on incidents.seq = (
    select max(seq) from incidents as life
    where life.dedup_key = wanted.dedup_key and life.provider = wanted.provider and life.project = wanted.project
);

-- name: known events
with wanted (id) as (values (?))
select id, action, severity, dedup_key, coalesce(incident_id, ''), outcome
from wanted cross join events using (id);

-- name: told sinks
select sink from deliveries
where id >= :event || '.' and id < :event || '/' and event_id = :event
order by seq;

-- name: known delivery ids
with wanted (provider, delivery_id) as (values (?, ?))
select provider, delivery_id, receipt
from wanted cross join delivery_ids using (provider, delivery_id);

-- name: insert webhooks
insert into webhooks
    (id, provider, received_at, method, url, headers, query, repeated, client, rest, body, ignored, filtered)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do nothing;

-- name: insert delivery ids
insert into delivery_ids (provider, delivery_id, at, receipt)
values (?, ?, ?, ?);

-- name: insert events
insert into events
    (id, webhook_id, provider, project, type, action, severity, dedup_key, incident_id, outcome, received_at, body)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: keep incidents
insert into incidents (id, provider, project, dedup_key, status, severity, resolve_at, last_trigger, body)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do update set
    status = excluded.status,
    severity = excluded.severity,
    resolve_at = excluded.resolve_at,
    last_trigger = coalesce(excluded.last_trigger, last_trigger),
    body = excluded.body;

-- name: insert deliveries
insert into deliveries (id, event_id, incident_id, line, sink, due_at)
values (?, ?, ?, ?, ?, ?);

-- name: mark replayed
with replayed (id) as (values (?))
update dead_items set state = 'replayed'
from replayed where dead_items.id = replayed.id;

-- name: keep dead items
insert into dead_items (id, webhook_id, item_index, provider, stage, reason, message, at, state)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do update set
    stage = excluded.stage, reason = excluded.reason, message = excluded.message, state = 'dead';

-- name: add to tallies
insert into tallies (sink, accepted, delivered, filtered, cancelled, dead)
values (?, ?, ?, ?, ?, ?)
on conflict (sink) do update set
    accepted = accepted + excluded.accepted,
    delivered = delivered + excluded.delivered,
    filtered = filtered + excluded.filtered,
    cancelled = cancelled + excluded.cancelled,
    dead = dead + excluded.dead;

-- name: beat
insert into pulse (id, beats) values (1, 1)
on conflict (id) do update set beats = beats + 1;
