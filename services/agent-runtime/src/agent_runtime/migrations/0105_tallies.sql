-- migrate:up

-- What agents did, to be told as telemetry: counters since the row was made, and the response times not told yet. A
-- turn is counted in the transaction that ends it. To be told, a row's news become `sample` under the next `seq`;
-- a sample is sent until it is known to be stored, and counted once by whoever reads it, whatever is sent twice.
create table tally (
    account_id     text        not null,
    agent_id       text        not null,
    epoch          text        not null,
    seq            integer     not null default 0,
    messages_total bigint      not null default 0,
    errors_total   bigint      not null default 0,
    response_ms    real[]      not null default '{}',
    is_changed     boolean     not null default false,
    sample         jsonb,
    created_at     timestamptz not null default now(),
    primary key (account_id, agent_id)
);
create index tally_untold_idx on tally (account_id, agent_id) where is_changed or sample is not null;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
