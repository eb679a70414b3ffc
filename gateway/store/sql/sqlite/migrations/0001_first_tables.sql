-- Times are epoch seconds. JSON is kept as the bytes that the gateway wrote.

create table webhooks (
    seq         integer primary key,
    id          text not null unique,
    provider    text not null,
    received_at real not null,
    method      text not null,
    url         text not null,
    headers     blob not null,
    query       blob not null,
    repeated    blob not null,
    client      text not null,
    rest        text not null,
    body        blob not null,
    ignored     integer not null,
    filtered    integer not null
) strict;
create index webhooks_by_age on webhooks (received_at);

-- The receipt stands here, not with the webhook, because delivery ids are remembered longer than bodies.
create table delivery_ids (
    seq         integer primary key,
    provider    text not null,
    delivery_id text not null,
    at          real not null,
    receipt     blob not null,
    unique (provider, delivery_id)
) strict;

create table events (
    seq         integer primary key,
    id          text not null unique,
    webhook_id  text not null,
    provider    text not null,
    project     text not null,
    type        text not null,
    action      text not null,
    severity    text not null,
    dedup_key   text not null,
    incident_id text,
    outcome     text not null,
    received_at real not null,
    body        blob not null
) strict;
create index events_by_webhook on events (webhook_id);
create index events_by_incident on events (incident_id) where incident_id is not null;
create index events_by_dedup_key on events (dedup_key);
create index events_by_provider on events (provider);
create index events_by_age on events (received_at);

-- A dedup key has one row per life; the one with the highest seq is the latest.
create table incidents (
    seq          integer primary key,
    id           text not null unique,
    provider     text not null,
    project      text not null,
    dedup_key    text not null,
    status       text not null,
    severity     text not null,
    resolve_at   real,
    last_trigger text,  -- the id of the event that triggered it last
    body         blob not null
) strict;
create index incidents_by_dedup_key on incidents (dedup_key, provider, project);
create index incidents_unresolved on incidents (status) where status <> 'resolved';
create index incidents_quiet on incidents (resolve_at) where resolve_at is not null and status <> 'resolved';

create table deliveries (
    seq         integer primary key,  -- the order of acceptance
    id          text not null unique,  -- begins with the event's id and a dot: so one index finds both
    event_id    text not null,
    incident_id text,
    sink        text not null,
    state       text not null default 'pending',
    attempts    integer not null default 0,  -- tries begun since the last release
    earlier     integer not null default 0,  -- tries begun before it
    due_at      real not null,
    claimed_at  real,
    lease_until real,
    held_since  real,  -- the first try or the parking: how long it has been holding up its incident's line
    ended_at    real,  -- when it came to rest: delivered, dead, cancelled or parked
    verdict     text not null default '',
    progress    blob not null default x'7b7d',
    check (state in ('pending', 'claimed', 'delivered', 'parked', 'dead', 'cancelled')),
    check (state <> 'claimed' or lease_until is not null)
) strict;
create index deliveries_by_sink on deliveries (sink);
create index deliveries_due on deliveries (sink, due_at) where state = 'pending';
create index deliveries_leased on deliveries (sink, lease_until) where state = 'claimed';
create index deliveries_parked on deliveries (sink) where state = 'parked';
create index deliveries_dead on deliveries (ended_at, id) where state = 'dead';
create index deliveries_in_line on deliveries (sink, incident_id)
    where incident_id is not null and state in ('pending', 'claimed', 'parked');
create index deliveries_holding on deliveries (sink, held_since)
    where held_since is not null and state in ('pending', 'parked');

create table attempts (
    delivery integer not null,  -- deliveries.seq
    number   integer not null,
    at       real not null,
    seconds  real not null,
    verdict  text not null,
    status   integer,
    excerpt  text not null,
    error    text not null,
    batch    integer not null,
    primary key (delivery, number)
) strict, without rowid;

create table memory (
    incident_id text not null,
    sink        text not null,
    body        blob not null,
    primary key (incident_id, sink)
) strict, without rowid;

create table dead_items (
    seq        integer primary key,
    id         text not null unique,  -- the webhook's id, a dot, the item's index
    webhook_id text not null,
    item_index integer not null,
    provider   text not null,
    stage      text not null,
    reason     text not null,
    message    text not null,
    at         real not null,
    state      text not null check (state in ('dead', 'replayed'))
) strict;
create index dead_items_by_webhook on dead_items (webhook_id);
create index dead_items_by_age on dead_items (at, id);

-- What has come to its end, per sink. What is under way is counted where it stands.
create table tallies (
    sink      text primary key,
    accepted  integer not null,
    delivered integer not null,
    filtered  integer not null,
    cancelled integer not null,
    dead      integer not null
) strict, without rowid;

create table pulse (
    id    integer primary key check (id = 1),
    beats integer not null
) strict;
