-- migrate:up

-- A pairing is opened by a user (pending), confirmed once by an agent (active), and ends (deleted). Ended rows stay as
-- tombstones, so that a late event cannot bring one back in anybody's copy. Writers lock the row; `version` grows by one.
create table pairing (
    id                   text        primary key,
    account_id           text        not null,
    user_id              text        not null,
    name                 text        not null,
    status               text        not null default 'pending',
    token_hash           bytea       not null,
    expires_at           timestamptz not null,
    agent_id             text,
    handle               text,
    instance_info        jsonb,
    telemetry_token_hash bytea,
    version              integer     not null default 1,
    created_at           timestamptz not null default now(),
    confirmed_at         timestamptz,
    last_seen            timestamptz,
    deleted_at           timestamptz,
    deleted_reason       text,
    constraint pairing_status_check check (status in ('pending', 'active', 'deleted')),
    constraint pairing_active_check check (status <> 'active' or (agent_id is not null and telemetry_token_hash is not null)),
    constraint pairing_token_hash_key unique (token_hash),
    constraint pairing_telemetry_token_hash_key unique (telemetry_token_hash)
);
create index pairing_account_id_idx on pairing (account_id, created_at) where status <> 'deleted';
create index pairing_expires_at_idx on pairing (expires_at) where status = 'pending';

-- Who did what to a pairing, from where.
create table pairing_history (
    id         bigint      generated always as identity primary key,
    pairing_id text        not null references pairing (id),
    action     text        not null,
    actor      text        not null,
    source     text        not null,
    at         timestamptz not null default now()
);
create index pairing_history_pairing_id_idx on pairing_history (pairing_id, id);

-- What telemetry-ingest tells of agents: a row per life of a connection. `offline` stays, so that a late `online` of the
-- same epoch changes nothing.
create table presence (
    account_id text        not null,
    agent_id   text        not null,
    epoch      text        not null,
    pairing_id text,
    is_online  boolean     not null,
    at         timestamptz not null,
    primary key (account_id, agent_id, epoch)
);
create index presence_pairing_id_idx on presence (pairing_id) where is_online;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
