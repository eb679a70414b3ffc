-- A line is all that one sink is told of one dedup key, over every life of its incident: a new life's trigger may not overtake the
-- resolve of the one before, or a receiver that goes by the key would end with the wrong word.

alter table deliveries add column line text;

update deliveries
set line = (
    select provider || char(31) || project || char(31) || dedup_key from incidents where incidents.id = deliveries.incident_id
)
where incident_id is not null;

drop index deliveries_in_line;
create index deliveries_in_line on deliveries (sink, line)
    where line is not null and state in ('pending', 'claimed', 'parked');
