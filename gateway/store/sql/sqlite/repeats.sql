-- What a sink is told again while its incident is open.

-- name: tell again
-- An older trigger that held up its line for too long may arrive after a newer one: it is not what is so.
insert into repeats (incident_id, sink, delivery, due_at)
values (?, ?, ?, ?)
on conflict (incident_id, sink) do update set delivery = max(delivery, excluded.delivery), due_at = excluded.due_at;

-- name: begin to tell again
-- What was delivered before: of each incident that is not resolved, its last trigger.
insert into repeats (incident_id, sink, delivery, due_at)
select incidents.id, told.sink, max(told.seq), :due_at
from incidents
join events on events.incident_id = incidents.id and events.action = 'trigger'
join deliveries as told on told.id = events.id || '.' || :sink
where incidents.status <> 'resolved'
group by incidents.id
having told.state = 'delivered'  -- that of the row with the highest seq: https://www.sqlite.org/lang_select.html#bareagg
on conflict (incident_id, sink) do nothing;

-- name: due again
-- A time further off than any sink repeats is of a clock that was ahead. What is unfinished of the line goes first. What died when
-- it was told again may arrive this time.
select repeats.incident_id, repeats.sink, told.seq, told.state,
       coalesce(incidents.status, 'resolved') <> 'resolved' and told.state in ('delivered', 'dead') as goes_on,
       exists (
           select 1 from deliveries as other
           where other.sink = repeats.sink and other.line = told.line and other.state in ('pending', 'claimed', 'parked')
       ) as waits
from repeats
left join deliveries as told on told.seq = repeats.delivery
left join incidents on incidents.id = repeats.incident_id
where repeats.due_at <= :now or repeats.due_at > :latest
order by repeats.due_at
limit :limit;

-- name: put off
update repeats set due_at = :at where incident_id = :incident and sink = :sink;

-- name: tell no more
with over (incident_id, sink) as (values (?, ?))
delete from repeats where (incident_id, sink) in (select incident_id, sink from over);

-- name: put back to be told again
update deliveries
set state = 'pending', due_at = :now, earlier = earlier + attempts, attempts = 0, held_since = null, ended_at = null,
    verdict = 'its incident is still open', progress = x'7b7d', again = 1
where seq in (select value from json_each(:seqs));

-- name: forget earlier tries
delete from attempts where delivery in (select value from json_each(:seqs));
