-- What the fleet did. Agents are known here by a small number, their `source`; all times are starts, in UTC.
-- Money is in millionths, gauges in thousandths, response times in microseconds. Sums saturate at 2^62.
-- migrate:up

-- Which agents there are: a copy of the pairings, with tombstones.
create table pairing (
    pairing_id text        primary key,
    account_id text        not null,
    agent_id   text,                          -- null until the fact that names it has come
    name       text        not null default '',
    version    bigint      not null,
    deleted_at timestamptz
);
create index pairing_agent_idx on pairing (account_id, agent_id) where deleted_at is null;

-- Accounts that are gone: what still arrives of theirs is erased again.
create table closed_account (
    account_id text        primary key,
    closed_at  timestamptz not null default now()
);

-- An agent that samples came from. Whoever counts its samples or rolls its hours up holds this row's lock, taken in
-- the order of ids; everything below with the same `source` is written under that lock only.
create table source (
    id           integer     generated always as identity primary key,
    account_id   text        not null,
    agent_id     text        not null,
    first_minute timestamptz,                 -- of its earliest and latest minute row
    last_minute  timestamptz,
    constraint source_account_agent_key unique (account_id, agent_id)
) with (fillfactor = 70);

-- Samples that have been counted, by epoch: one life of a source of samples, within which a seq means one sample.
create table seen (
    source     integer        not null,
    epoch      text           not null,
    seqs       int8multirange not null,
    touched_at timestamptz    not null default now(),
    primary key (source, epoch)
) with (fillfactor = 50);

-- What agents told, minute by minute. Partitions by day are made and dropped by the functions below.
create table minute (
    source         integer     not null,
    minute         timestamptz not null,
    frames         integer     not null,
    errors         integer     not null,      -- error frames
    read_at        timestamptz,               -- the last reading, with what it said
    read_epoch     text,
    read_seq       bigint,
    messages_1h    bigint,
    messages_24h   bigint,
    errors_1h      bigint,
    revenue_1h     bigint,
    messages_total bigint,
    errors_total   bigint,
    revenue_total  bigint,
    uptime_s       bigint,
    sessions_n     integer     not null,
    sessions_sum   bigint      not null,
    sessions_low   bigint,
    sessions_high  bigint,
    memory_n       integer     not null,
    memory_sum     bigint      not null,
    memory_low     bigint,
    memory_high    bigint,
    cpu_n          integer     not null,
    cpu_sum        bigint      not null,
    cpu_low        bigint,
    cpu_high       bigint,
    measured_idx   smallint[],                -- histogram of single response times
    measured_cnt   bigint[],
    measured_sum   bigint      not null,
    measured_low   bigint,
    measured_high  bigint,
    averaged_idx   smallint[],                -- histogram of reported means
    averaged_cnt   bigint[],
    averaged_sum   bigint      not null,
    averaged_low   bigint,
    averaged_high  bigint,
    primary key (source, minute)
) partition by range (minute);

create table skill_minute (
    source     integer     not null,
    minute     timestamptz not null,
    skill      text        not null,
    read_at    timestamptz,
    read_epoch text,
    read_seq   bigint,
    calls_1h   bigint,
    revenue_1h bigint,
    errors     integer     not null,
    means_n    integer     not null,          -- reported means and their sum
    means_sum  bigint      not null,
    primary key (source, minute, skill)
) partition by range (minute);

-- Hours whose minute rows changed since their ledger was written.
create table dirty_hour (
    source integer     not null,
    hour   timestamptz not null,
    since  timestamptz not null default now(),
    primary key (source, hour)
);
create index dirty_hour_since_idx on dirty_hour (since);

-- What each hour's readings added, and the state from which the next hour goes on (domain/ledgers.py).
create table ledger (
    source  integer     not null,
    hour    timestamptz not null,
    entries json        not null,
    primary key (source, hour)
);

-- What agents did, hour by hour and day by day.
create table bucket (
    grain         text        not null,
    source        integer     not null,
    start         timestamptz not null,
    messages      bigint      not null,
    errors        bigint      not null,
    revenue       bigint      not null,
    latency_idx   smallint[],
    latency_cnt   bigint[],
    latency_n     bigint      not null,       -- the sum of latency_cnt
    latency_sum   bigint      not null,
    latency_low   bigint,
    latency_high  bigint,
    measured      bigint      not null,       -- how many of latency_n were measured one by one
    sessions_n    bigint      not null,
    sessions_sum  bigint      not null,
    sessions_low  bigint,
    sessions_high bigint,
    memory_n      bigint      not null,
    memory_sum    bigint      not null,
    memory_low    bigint,
    memory_high   bigint,
    cpu_n         bigint      not null,
    cpu_sum       bigint      not null,
    cpu_low       bigint,
    cpu_high      bigint,
    primary key (grain, source, start)
) partition by list (grain);
create table hour_bucket partition of bucket for values in ('hour') with (fillfactor = 80);
create table day_bucket partition of bucket for values in ('day') with (fillfactor = 50);

create table skill_bucket (
    grain       text        not null,
    source      integer     not null,
    start       timestamptz not null,
    skill       text        not null,
    calls       bigint      not null,
    revenue     bigint      not null,
    errors      bigint      not null,
    latency_n   bigint      not null,
    latency_sum bigint      not null,
    primary key (grain, source, start, skill)
) partition by list (grain);
create table hour_skill_bucket partition of skill_bucket for values in ('hour') with (fillfactor = 80);
create table day_skill_bucket partition of skill_bucket for values in ('day') with (fillfactor = 50);

-- Make the partitions of a UTC day. The working role may not create tables, so this runs as the owner. Attaching takes
-- a lighter lock than `create table … partition of`: readers and writers of other days go on.
create function open_day(day date) returns void
    language plpgsql security definer set search_path from current as
$$
declare
    parent text;
    part   text;
begin
    perform pg_advisory_xact_lock(hashtext('metrics_query.open_day'));
    foreach parent in array array ['minute', 'skill_minute'] loop
        part := parent || to_char(day, '_YYYYMMDD');
        if to_regclass(part) is null then
            execute format('create table %I (like %I including all) with (fillfactor = 70)', part, parent);
            execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part,
                           day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
        end if;
    end loop;
end
$$;

-- Drop the partitions of all days before one; returns how many.
create function drop_days(before date) returns integer
    language plpgsql security definer set search_path from current as
$$
declare
    part    text;
    dropped integer := 0;
begin
    for part in
        select child.relname
          from pg_inherits i
          join pg_class child on child.oid = i.inhrelid
         where i.inhparent in ('minute'::regclass, 'skill_minute'::regclass)
           and right(child.relname, 8) < to_char(before, 'YYYYMMDD')
    loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;

-- migrate:down
