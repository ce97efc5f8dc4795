-- migrate:up

-- A copy: every instance as instance-orchestrator tells of it. A fact is taken only if it is newer: `version` is that of
-- where and whether the instance runs, `name_version` that of what people call it. Deleted rows stay as tombstones.
create table instance (
    id              integer     primary key,
    account_id      text        not null,
    name            text        not null default '',
    display_name    text        not null default '',
    status          text        not null default 'creating',
    ssh_host        text        not null default '',
    ssh_port        integer     not null default 0,
    ssh_user        text        not null default '',
    host_public_key text        not null default '',
    version         integer     not null default 0,
    name_version    integer     not null default 0,
    constraint instance_status_check
        check (status in ('creating', 'running', 'restarting', 'stopped', 'error', 'deleted'))
);
create index instance_account_id_idx on instance (account_id, id) where status <> 'deleted';
create index instance_running_idx on instance (id) where status = 'running';

-- A copy: which instances a user may use, as a whole.
create table assignment (
    user_id      text      primary key,
    account_id   text      not null,
    instance_ids integer[] not null,
    version      integer   not null
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
