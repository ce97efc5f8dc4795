-- migrate:up

-- What an account configured; no row: it never did. A writer takes the row first, so that replacements do not mix.
create table configuration (
    account_id  text             primary key,
    model       text             not null default 'offline/rules',
    max_tokens  integer          not null default 4096,
    temperature double precision not null default 0.7,
    channels    jsonb            not null default '{}',
    updated_at  timestamptz      not null default now()
);

-- Who offers models to an account. The key is sealed for account, name and address: with another address it would not
-- open, so it cannot be sent there.
create table provider (
    account_id text    not null,
    name       text    not null,
    api_base   text    not null,
    is_enabled boolean not null default true,
    sealed     bytea,
    primary key (account_id, name)
);

-- Words sealed by the first one to ask: whoever opens them has the key that sealed the rest.
create table key_check (
    is_only boolean primary key default true check (is_only),
    sealed  bytea   not null
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
