-- migrate:up

-- Accounts that were told of. Each gets an agent at its first telling, and never a second one that way.
create table account (
    id         text        primary key,
    version    integer     not null,
    is_deleted boolean     not null default false,
    told_at    timestamptz not null default now()
);

-- Agents that run here. A deleted row stays as a tombstone; its id is never used again.
create table agent (
    account_id   text        not null,
    id           text        not null,
    name         text        not null,
    description  text        not null default '',
    status       text        not null,
    model        text        not null,
    instructions text        not null default '',
    skills       text[]      not null default '{}',
    tools        jsonb       not null default '{}',
    config       jsonb       not null default '{}',
    version      integer     not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz,
    primary key (account_id, id),
    constraint agent_status_check check (status in ('running', 'stopped', 'error'))
);
create index agent_present_idx on agent (account_id, created_at, id) where deleted_at is null;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
