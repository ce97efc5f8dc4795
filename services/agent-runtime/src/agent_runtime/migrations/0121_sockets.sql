-- migrate:up

-- Processes that hold sockets, by the database's clock. A process renews its row; the rows of its sockets count while it
-- does, and go with it.
create table socket_process (
    id      text        primary key,
    beat_at timestamptz not null default now()
);

-- Signed-in sockets of browsers, over all processes: for the limit per user, and for the channel `web`.
create table socket (
    id         text        primary key,
    account_id text        not null,
    user_id    text        not null,
    process    text        not null references socket_process (id) on delete cascade,
    opened_at  timestamptz not null default now()
);
create index socket_user_id_idx on socket (user_id);
create index socket_account_id_idx on socket (account_id);
create index socket_process_idx on socket (process);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
