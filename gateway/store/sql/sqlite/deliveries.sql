-- A delivery's life: pending -> claimed -> delivered | pending | parked | dead | cancelled.

-- name: void expired claims
update deliveries
set state = 'pending', due_at = :now, lease_until = null, verdict = :verdict
where sink = :sink and state = 'claimed' and lease_until <= :ticks
returning seq, earlier + attempts, claimed_at;

-- name: void every expired claim
update deliveries
set state = 'pending', due_at = :now, lease_until = null, verdict = :verdict
where state = 'claimed' and lease_until <= :ticks
returning seq, earlier + attempts, claimed_at;

-- name: void all claims
update deliveries
set state = 'pending', lease_until = null, verdict = :verdict
where state = 'claimed'
returning seq, earlier + attempts, claimed_at;

-- name: claim
update deliveries
set state = 'claimed',
    attempts = attempts + 1,
    claimed_at = :now,
    lease_until = :ticks + :lease,
    held_since = coalesce(held_since, :now)
where seq in (
    select due.seq
    from deliveries as due
    where due.sink = :sink and due.state = 'pending' and due.due_at <= :now
      and not exists (
        select 1 from deliveries as older
        where older.sink = due.sink and older.line = due.line and older.seq < due.seq
          and older.state in ('pending', 'claimed', 'parked')
          and (older.held_since is null or older.held_since > :now - :line)
      )
    order by due.due_at, due.seq
    limit :limit
)
returning seq;

-- name: claimed
select deliveries.id, deliveries.seq, deliveries.sink, events.body, incidents.body, memory.body, deliveries.progress,
       deliveries.state, deliveries.attempts, deliveries.due_at, deliveries.verdict, deliveries.again
from json_each(:seqs) as wanted
cross join deliveries on deliveries.seq = wanted.value
join events on events.id = deliveries.event_id
left join incidents on incidents.id = deliveries.incident_id
left join memory on memory.incident_id = deliveries.incident_id and memory.sink = deliveries.sink
order by deliveries.due_at, deliveries.seq;

-- name: record
-- A try that sent nothing is not counted, and one that was never tried does not hold up its line.
with result (seq, id, fence, was_due, state, due_at, sent, verdict, progress, now) as (values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
update deliveries
set state = result.state,
    due_at = case when result.state = 'pending' then result.due_at else deliveries.due_at end,
    attempts = deliveries.attempts - 1 + result.sent,
    lease_until = null,
    held_since = case when result.state = 'pending' and deliveries.attempts - 1 + result.sent = 0 then null
                      else deliveries.held_since end,
    ended_at = case when result.state = 'pending' then null else result.now end,
    verdict = result.verdict,
    again = iif(result.state in ('delivered', 'cancelled', 'dead'), 0, deliveries.again),
    progress = coalesce(result.progress, deliveries.progress)
from result
where deliveries.seq = result.seq and deliveries.id = result.id and deliveries.state = 'claimed'
  and deliveries.attempts = result.fence and deliveries.due_at = result.was_due
returning seq, earlier, incident_id;

-- name: note progress
update deliveries
set progress = :progress
where seq = :seq and id = :id and state = 'claimed' and attempts = :fence and due_at = :was_due
returning incident_id;

-- name: insert attempts
insert into attempts (delivery, number, at, seconds, verdict, status, excerpt, error, batch)
values (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: remember
insert into memory (incident_id, sink, body)
values (?, ?, ?)
on conflict (incident_id, sink) do update set body = excluded.body;

-- name: next due
select min(at) from (
    select * from (
        select due.due_at as at
        from deliveries as due
        where due.sink = :sink and due.state = 'pending' and due.due_at > :since
          and not exists (
            select 1 from deliveries as older
            where older.sink = due.sink and older.line = due.line and older.seq < due.seq
              and older.state in ('pending', 'claimed', 'parked')
              and (older.held_since is null or older.held_since > :now - :line)
          )
        order by due.due_at
        limit 1
    )
    union all
    select min(lease_until) - :ticks + :now from deliveries where sink = :sink and state = 'claimed'
    union all
    select * from (
        select head.held_since + :line
        from deliveries as head
        where head.sink = :sink and head.state in ('pending', 'parked') and head.held_since > :now - :line
          and exists (
            select 1 from deliveries as waiting
            where waiting.sink = head.sink and waiting.line = head.line and waiting.seq > head.seq
              and waiting.state = 'pending'
          )
        order by head.held_since
        limit 1
    )
);

-- name: releasable
select seq, sink, state
from deliveries
where state in (select value from json_each(:states))
  and sink = :sink                                   -- if sink
  and id in (select value from json_each(:ids))      -- if ids
;

-- name: release
-- What was delivered is told again from its first step; anything else goes on where it stopped.
update deliveries
set progress = case when state = 'delivered' then x'7b7d' else progress end,
    state = 'pending',
    due_at = :now,
    earlier = earlier + attempts,
    attempts = 0,
    held_since = null,
    ended_at = null,
    verdict = ''
where seq in (select value from json_each(:seqs));

-- name: hasten
-- Of those that are due in a time to come, which are few.
update deliveries
set due_at = :now + iif(attempts = 0, :untried, :longest)
where sink = :sink and state = 'pending' and due_at > :now and due_at > :now + iif(attempts = 0, :untried, :longest)
returning seq;

-- name: hold since now
update deliveries
set held_since = :now
where sink = :sink and state in ('pending', 'parked') and held_since > :now
returning seq;

-- name: bury orphans
update deliveries
set state = 'dead', lease_until = null, ended_at = :now, verdict = 'the sink ' || sink || ' is gone; put its file back and replay'
where state in ('pending', 'claimed', 'parked')
  and sink not in (select value from json_each(:sinks))
returning sink;

-- name: quiet incidents
select incidents.body, events.body
from incidents
join events on events.id = incidents.last_trigger
where incidents.resolve_at <= :now and incidents.status <> 'resolved'
order by incidents.resolve_at
limit :limit;

-- name: tallies
select sink, accepted, delivered, filtered, cancelled, dead from tallies order by sink;

-- name: under way
select sink, 'pending', count(*) from deliveries where state = 'pending' group by sink
union all
select sink, 'claimed', count(*) from deliveries where state = 'claimed' group by sink
union all
select sink, 'parked', count(*) from deliveries where state = 'parked' group by sink;
