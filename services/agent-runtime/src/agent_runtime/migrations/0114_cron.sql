-- migrate:up

-- Turns that the clock asks for. Whoever holds the lease `cron` claims what is due: it locks the row, writes the firing
-- and moves `next_run` in one transaction, so that a tick is claimed once or still due, whatever dies in between.
create table cron_job (
    id          text        primary key,
    account_id  text        not null,
    name        text        not null,
    schedule    text        not null,
    timezone    text        not null default 'UTC',
    missed      text        not null default 'skip',
    is_enabled  boolean     not null default true,
    payload     text,
    agent_id    text        not null default '',
    session_key text        not null default '',
    status      text        not null default 'idle',
    last_run    timestamptz,
    next_run    timestamptz,
    last_error  text        not null default '',
    version     integer     not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    constraint cron_job_missed_check check (missed in ('skip', 'once')),
    constraint cron_job_status_check check (status in ('idle', 'running', 'failed'))
);
create index cron_job_account_id_idx on cron_job (account_id, created_at);
create index cron_job_next_run_idx on cron_job (next_run) where next_run is not null;

-- Firings: claimed, then running under a turn that was started with the firing's id as its key, then over. A firing that
-- stays claimed because its process died is started by the next holder of the lease, under the same key; so what it says
-- and where stands here too, whatever becomes of the job meanwhile.
create table cron_firing (
    id         text        primary key,
    job_id     text        not null references cron_job (id) on delete cascade,
    account_id text        not null,
    kind       text        not null,
    due_at     timestamptz not null,
    prompt     text        not null,
    agent_id   text        not null,
    session    text        not null,
    status     text        not null,
    run_id     text        not null default '',
    error      text        not null default '',
    claimed_at timestamptz not null default now(),
    ended_at   timestamptz,
    constraint cron_firing_kind_check check (kind in ('tick', 'manual')),
    constraint cron_firing_status_check check (status in ('claimed', 'running', 'completed', 'failed', 'skipped'))
);
create unique index cron_firing_tick_key on cron_firing (job_id, due_at) where kind = 'tick';
create index cron_firing_job_id_idx on cron_firing (job_id, claimed_at desc);
create index cron_firing_unfinished_idx on cron_firing (claimed_at) where status in ('claimed', 'running');

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
