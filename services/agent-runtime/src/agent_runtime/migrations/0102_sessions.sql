-- migrate:up

-- Sessions: what people and an agent say to each other. `key` is what callers name it by, within the account.
create table session (
    id            text        primary key,
    account_id    text        not null,
    key           text        not null,
    agent_id      text        not null,
    message_count integer     not null default 0,
    version       integer     not null default 1,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    constraint session_account_key_key unique (account_id, key),
    foreign key (account_id, agent_id) references agent (account_id, id)
);
create index session_recent_idx on session (account_id, updated_at desc, id);
create index session_agent_idx on session (account_id, agent_id);

-- Messages in the order of `seq`, without gaps: a user's when its run begins, an agent's when its run ends. So a turn
-- is never split by another, and what a crash leaves is whole. `steps` is what the model said between tool calls.
create table message (
    session_id    text        not null references session (id) on delete cascade,
    seq           integer     not null,
    id            text        not null,
    role          text        not null,
    content       text        not null,
    tool_calls    jsonb       not null default '[]',
    steps         jsonb       not null default '[]',
    run_id        text        not null default '',
    is_incomplete boolean     not null default false,
    created_at    timestamptz not null default now(),
    primary key (session_id, seq),
    constraint message_role_check check (role in ('user', 'assistant', 'system', 'tool'))
);
create unique index message_run_role_key on message (run_id, role) where run_id <> '';

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
