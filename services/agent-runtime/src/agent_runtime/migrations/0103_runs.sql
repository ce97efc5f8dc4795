-- migrate:up

-- Runs: each answers one message. A session's runs take their turns by `position`: only its first unfinished one may
-- be claimed. `worker` and `epoch` name the lease under which it runs; every write of the worker checks that lease, so
-- what a process does after it was taken for dead changes nothing. A run that waits for approval has no worker.
create table run (
    id                  text        primary key,
    position            bigint      generated always as identity,
    account_id          text        not null,
    session_id          text        not null references session (id) on delete cascade,
    session_key         text        not null,
    agent_id            text        not null,
    parent_id           text        references run (id) on delete set null,
    status              text        not null,
    content             text        not null,
    model               text        not null default '',
    origin              text        not null default 'web',
    requested_by        text        not null default '',
    credential_id       text        not null default '',
    instructions        text        not null default '',
    tools               text[],
    idempotency_key     text,
    request_sha256      bytea       not null,
    traceparent         text,
    worker              text,
    epoch               bigint,
    cancel_requested_at timestamptz,
    error_code          text        not null default '',
    error               text        not null default '',
    last_seq            integer     not null default 0,
    version             integer     not null default 1,
    complexity          real        not null default 0,
    tier                smallint    not null default 2,
    score               real,
    spent_ms            double precision not null default 0,
    created_at          timestamptz not null default now(),
    started_at          timestamptz,
    ended_at            timestamptz,
    constraint run_idempotency_key unique (session_id, idempotency_key),
    constraint run_status_check check (status in
        ('queued', 'running', 'pending_approval', 'completed', 'failed', 'cancelled', 'interrupted'))
);
create unique index run_active_idx on run (session_id) where status in ('running', 'pending_approval');
create index run_unfinished_idx on run (session_id, position)
 where status in ('queued', 'running', 'pending_approval');
create index run_worker_idx on run (worker) where status = 'running';
create index run_queued_idx on run (created_at) where status = 'queued';
create index run_parent_idx on run (parent_id) where parent_id is not null;
create index run_ended_idx on run (ended_at) where ended_at is not null;
create index run_origin_idx on run (account_id, origin);
create index run_session_idx on run (session_id, position desc);

-- What happened in a run, numbered without gaps from 1: what its stream tells, and tells again to whoever resumes.
create table run_event (
    run_id text        not null references run (id) on delete cascade,
    seq    integer     not null,
    type   text        not null,
    data   jsonb       not null,
    at     timestamptz not null default now(),
    primary key (run_id, seq)
);

-- What the model said at each step of a run; the tool calls of a step are rows of `tool_call`.
create table run_step (
    run_id        text        not null references run (id) on delete cascade,
    number        integer     not null,
    text          text        not null,
    model         text        not null,
    input_tokens  integer     not null,
    output_tokens integer     not null,
    at            timestamptz not null default now(),
    primary key (run_id, number)
);

-- Tool calls. Written before the tool acts, so that whatever a crash leaves is known to have begun: then `unknown`.
create table tool_call (
    run_id     text        not null references run (id) on delete cascade,
    id         text        not null,
    step       integer     not null,
    place      integer     not null,
    name       text        not null,
    arguments  text        not null,
    status     text        not null,
    result     text,
    is_error   boolean     not null default false,
    decided_by text        not null default '',
    decided_at timestamptz,
    expires_at timestamptz,
    started_at timestamptz,
    ended_at   timestamptz,
    primary key (run_id, id),
    constraint tool_call_status_check check (status in
        ('pending_approval', 'approved', 'denied', 'running', 'completed', 'failed', 'cancelled', 'unknown'))
);
create index tool_call_pending_idx on tool_call (expires_at) where status = 'pending_approval';

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
