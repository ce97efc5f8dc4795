-- migrate:up

-- The keys by which this service signs in. An instance has one `current` key; while that is replaced also a `pending`
-- one, which was not proved yet, or a `previous` one, which may still be needed to get in. The private half is sealed,
-- bound to instance and version. A row is deleted together with everything that knows its private half.
create table ssh_key (
    instance_id integer     not null,
    version     integer     not null,
    account_id  text        not null,
    role        text        not null,
    public_key  text        not null,
    fingerprint text        not null,
    sealed      bytea       not null,
    is_applied  boolean     not null default false,
    created_at  timestamptz not null default now(),
    primary key (instance_id, version),
    constraint ssh_key_role_check check (role in ('pending', 'current', 'previous'))
);
create unique index ssh_key_current_key on ssh_key (instance_id) where role = 'current';

-- Replacing a key, a step at a time; each step can be done again, and whoever finds an open row goes on with it.
--   prepared   the new pair is stored
--   appended   the instance's authorized_keys has the new key beside the old one
--   verified   the new key was seen to sign in
--   switched   the new key is the current one and others were told; from here there is no way back
--   announced  the connection was made anew and the audit log tells of the rotation
--   applied    instance-orchestrator gave the new key to the instance, so that a restart keeps it
--   removed    authorized_keys no longer has the old key
--   done       the old private key is destroyed
--   rolling_back, failed   the new key is taken out of authorized_keys again, and destroyed
create table rotation (
    id          bigint      generated always as identity primary key,
    instance_id integer     not null,
    old_version integer     not null,
    new_version integer     not null,
    step        text        not null default 'prepared',
    username    text        not null,
    source_ip   text        not null,
    intent_id   bigint      not null,
    problem     text        not null default '',
    started_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    constraint rotation_step_check check (step in (
        'prepared', 'appended', 'verified', 'switched', 'announced', 'applied', 'removed', 'done', 'rolling_back',
        'failed'))
);
create unique index rotation_open_key on rotation (instance_id) where step not in ('done', 'failed');

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
