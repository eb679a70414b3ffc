-- Forgetting, oldest first and never more than :limit of a kind at a time. What is unfinished stays, and so do the tallies.
-- The long looks (`prunable …`) are taken beside the writer, who then looks once more at what was found alone.

-- name: prune dead deliveries
delete from deliveries
where seq in (select seq from deliveries where state = 'dead' and ended_at < :dead order by ended_at limit :limit)
returning seq;

-- name: prune dead items
delete from dead_items
where seq in (select seq from dead_items where at < :dead order by at limit :limit)
returning seq;

-- name: prunable events
select events.seq, events.id, events.incident_id
from events
left join incidents on incidents.id = events.incident_id
where events.received_at < :events
  and coalesce(incidents.status, 'resolved') = 'resolved'
  and events.seq in (select value from json_each(:seqs))      -- if seqs
  and not exists (
    select 1 from deliveries
    where deliveries.id >= events.id || '.' and deliveries.id < events.id || '/' and deliveries.event_id = events.id
      and deliveries.state not in ('delivered', 'cancelled')
  )
order by events.received_at
limit :limit;

-- name: prune events
delete from events where seq in (select value from json_each(:seqs));

-- name: prune deliveries
with gone (id) as (values (?))
delete from deliveries
where seq in (
    select told.seq from gone
    cross join deliveries as told on told.id >= gone.id || '.' and told.id < gone.id || '/' and told.event_id = gone.id
)
returning seq;

-- name: prune attempts
delete from attempts where delivery in (select value from json_each(:seqs));

-- name: prune incidents
with gone (id) as (values (?))
delete from incidents
where id in (select id from gone)
  and status = 'resolved'
  and not exists (select 1 from events where events.incident_id = incidents.id)
returning id;

-- name: prune memory
with gone (id) as (values (?))
delete from memory where incident_id in (select id from gone);

-- name: prunable webhooks
select webhooks.seq
from webhooks
where webhooks.received_at < :webhooks
  and webhooks.seq in (select value from json_each(:seqs))    -- if seqs
  and not exists (select 1 from dead_items where dead_items.webhook_id = webhooks.id and dead_items.state = 'dead')
  and not exists (
    select 1 from events
    join deliveries
      on deliveries.id >= events.id || '.' and deliveries.id < events.id || '/' and deliveries.event_id = events.id
    where events.webhook_id = webhooks.id and deliveries.state not in ('delivered', 'cancelled')
  )
order by webhooks.received_at
limit :limit;

-- name: prune webhooks
delete from webhooks where seq in (select value from json_each(:seqs));

-- name: prune delivery ids
delete from delivery_ids
where seq in (select seq from delivery_ids order by seq limit :limit) and at < :delivery_ids
returning seq;
