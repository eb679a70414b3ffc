-- What a sink is to be told again while its incident is open: its last delivered trigger, and when.
create table repeats (
    incident_id text not null,
    sink        text not null,
    delivery    integer not null,  -- deliveries.seq
    due_at      real not null,
    primary key (incident_id, sink)
) strict, without rowid;
create index repeats_due on repeats (due_at);

alter table deliveries add column again integer not null default 0;  -- 1 while it is told again
