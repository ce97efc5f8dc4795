-- migrate:up

-- Which instance was made for a request that named itself, so that sending it again makes no other one. `digest` is of
-- what was asked for. Rows are forgotten after a day.
create table creation (
    account_id  text        not null,
    key         text        not null,
    digest      bytea       not null,
    instance_id integer     not null references instance (id),
    created_at  timestamptz not null default now(),
    primary key (account_id, key)
);
create index creation_created_at_idx on creation (created_at);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
