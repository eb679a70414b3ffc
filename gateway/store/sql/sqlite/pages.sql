-- What people look at. A line that ends in `-- if NAME` stands only when that filter is given.

-- name: events
select seq, body, coalesce(incident_id, '') as incident_id, outcome
from events
where seq < :before
  and provider = :provider          -- if provider
  and project = :project            -- if project
  and action = :action              -- if action
  and severity = :severity          -- if severity
  and dedup_key = :dedup_key        -- if dedup_key
  and incident_id = :incident       -- if incident
  and outcome = :outcome            -- if outcome
order by seq desc
limit :limit;

-- name: event
select seq, body, coalesce(incident_id, '') as incident_id, outcome from events where id = :id;

-- name: incidents
select seq, body
from incidents
where seq < :before
  and status = :status              -- if status
  and provider = :provider          -- if provider
  and project = :project            -- if project
  and dedup_key = :dedup_key        -- if dedup_key
  and severity = :severity          -- if severity
order by seq desc
limit :limit;

-- name: incident
select seq, body from incidents where id = :id;

-- name: deliveries
select deliveries.seq, deliveries.id, sink, state, attempts as tries, due_at, held_since, ended_at, verdict,
       event_id, coalesce(deliveries.incident_id, '') as incident_id,
       provider, action, severity, events.body ->> 'summary' as summary
from deliveries
join events on events.id = deliveries.event_id
where deliveries.seq < :before
  and sink = :sink                  -- if sink
  and state = :state                -- if state
  and deliveries.id >= :event || '.' and deliveries.id < :event || '/' and event_id = :event    -- if event
  and deliveries.seq in (select told.seq from events as cause join deliveries as told on told.id >= cause.id || '.' and told.id < cause.id || '/' where cause.incident_id = :incident and told.event_id = cause.id)  -- if incident
order by deliveries.seq desc
limit :limit;

-- name: delivery
select deliveries.seq, deliveries.id, sink, state, attempts as tries, due_at, held_since, ended_at, verdict,
       event_id, coalesce(deliveries.incident_id, '') as incident_id,
       provider, action, severity, events.body ->> 'summary' as summary,
       deliveries.progress
from deliveries
join events on events.id = deliveries.event_id
where deliveries.id = :id;

-- name: attempts
select number, at, seconds, verdict, status, excerpt, error, batch
from attempts
where delivery = :seq
order by number;

-- name: dead letters
select * from (
    select * from (
        select 'delivery' as kind, deliveries.id, provider, sink, 'deliver' as stage, 'dead' as reason, verdict as message,
               ended_at as at, webhook_id, event_id, null as item_index
        from deliveries
        join events on events.id = deliveries.event_id
        where state = 'dead' and (ended_at, deliveries.id) < (:at, :id)
          and provider = :provider  -- if provider
          and sink = :sink          -- if sink
        order by ended_at desc, deliveries.id desc
        limit :limit
    )
    union all
    select * from (
        select 'webhook', id, provider, '', stage, reason, message, at, webhook_id, '', item_index
        from dead_items
        where state = 'dead' and (at, id) < (:at, :id)
          and provider = :provider  -- if provider
          and '' = :sink            -- if sink
        order by at desc, id desc
        limit :limit
    )
)
where true
  and kind = :kind                  -- if kind
order by at desc, id desc
limit :limit;

-- name: dead item
select 'webhook' as kind, id, provider, '' as sink, stage, reason, message, at, webhook_id, '' as event_id, item_index, state
from dead_items
where id = :id;

-- name: webhook
select id, provider, received_at, method, url, headers, query, repeated, client, rest, body from webhooks where id = :id;
