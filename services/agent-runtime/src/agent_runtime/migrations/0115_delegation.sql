-- migrate:up

-- Who does which kind of work, by account.
create table delegation_rule (
    account_id           text             not null,
    name                 text             not null,
    pattern              text             not null,
    target               text             not null,
    complexity_threshold double precision not null,
    is_enabled           boolean          not null,
    priority             integer          not null,
    updated_at           timestamptz      not null default now(),
    primary key (account_id, name)
);

-- Accounts that were given the rules everybody begins with; never twice, so what is deleted stays so.
create table delegation_beginning (
    account_id text        primary key,
    begun_at   timestamptz not null default now()
);

-- Work that was handed on. Running until whoever waits for it, or the sweep after that one died, notes how it ended.
-- `run_id` is the run that handed it on, `child_run_id` the one that does it (none where plain code did). What is done in a
-- session that itself is a delegation's is one deeper.
create table delegation (
    task_id      text             primary key,
    account_id   text             not null,
    session_key  text             not null,
    run_id       text             not null,
    child_run_id text             not null default '',
    tool_name    text             not null,
    target       text             not null,
    tier         smallint         not null,
    rule         text             not null default '',
    complexity   double precision not null,
    depth        smallint         not null,
    status       text             not null,
    error        text             not null default '',
    started_at   timestamptz      not null default now(),
    completed_at timestamptz,
    constraint delegation_status_check check (status in ('pending', 'running', 'completed', 'failed'))
);
create index delegation_account_id_idx on delegation (account_id, started_at desc, task_id);
create index delegation_unfinished_idx on delegation (started_at) where status in ('pending', 'running');

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
