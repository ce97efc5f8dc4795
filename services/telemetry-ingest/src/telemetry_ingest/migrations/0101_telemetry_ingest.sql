-- migrate:up

-- Ingest processes that live, by the database's clock. A process renews its row; peers remove the rows of processes whose
-- beat is missing, together with everything that they held.
create table process (
    id      text        primary key,
    beat_at timestamptz not null default now()
);

-- An agent's presence: one life of its connection to one process. Whoever sets `ended_at` publishes the end, in the same
-- transaction, once. `is_taken` says that another process ended it and the owner has not noticed yet. Ended rows stay,
-- so that a copy elsewhere can be completed.
create table presence (
    account_id text        not null,
    agent_id   text        not null,
    epoch      text        not null,
    pairing_id text,
    process    text        not null,
    socket_id  text        not null,
    began_at   timestamptz not null,
    ended_at   timestamptz,
    gone       text,
    superseded boolean     not null default false,
    is_taken   boolean     not null default false,
    primary key (account_id, agent_id, epoch),
    constraint presence_gone_check check ((ended_at is null) = (gone is null))
);
create index presence_process_idx on presence (process) where ended_at is null;
create index presence_taken_idx on presence (process) where is_taken;
create index presence_pairing_id_idx on presence (pairing_id) where ended_at is null;
create index presence_ended_at_idx on presence (ended_at) where ended_at is not null;

-- Sockets opened with a user's credential: a row each, numbered from 1. A row counts for as long as its process lives.
create table socket_slot (
    user_id   text     not null,
    slot      smallint not null,
    process   text     not null,
    socket_id text     not null,
    primary key (user_id, slot)
);
create index socket_slot_process_idx on socket_slot (process);

-- Copy of pairings that were confirmed once. A row is taken only if its version is newer; ended ones stay as tombstones.
create table pairing (
    id         text        primary key,
    account_id text        not null,
    user_id    text        not null,
    agent_id   text        not null,
    token_hash bytea,
    version    integer     not null,
    ended_at   timestamptz
);
create index pairing_token_hash_idx on pairing (token_hash);
create index pairing_account_id_idx on pairing (account_id) where ended_at is null;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
