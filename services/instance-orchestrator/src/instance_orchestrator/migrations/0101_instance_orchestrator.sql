-- migrate:up

-- What an instance should be (`desired` and everything above `generation`), and what was last seen of it (below).
-- Requests write the first part and raise `generation`; the reconciler alone, by lease, writes the second and sets
-- `observed_generation` once a generation was applied. `nudge` asks for work that needs no new start. `deleted` is final: the row stays, without its keys, as a
-- tombstone, and `removed_at` says when the backend held nothing of it any more.
create table instance (
    id                  integer     generated always as identity primary key,
    account_id          text        not null,
    user_id             text        not null,
    name                text        not null,
    display_name        text        not null,
    desired             text        not null default 'running',
    cpu_request         text        not null,
    cpu_limit           text        not null,
    memory_request      text        not null,
    memory_limit        text        not null,
    storage_clawdbot    text        not null,
    storage_homebrew    text        not null,
    storage_clawd       text        not null,
    storage_chrome      text        not null,
    config              bytea       not null,
    container_image     text,
    vnc_resolution      text,
    disabled_models     jsonb       not null default '[]',
    extra_models        jsonb       not null default '[]',
    default_model       text        not null default '',
    restarts            integer     not null default 0,
    sort_order          integer     not null default 0,
    generation          integer     not null default 1,
    observed_generation integer     not null default 0,
    nudge               integer     not null default 0,
    observed_nudge      integer     not null default 0,
    phase               text        not null default 'starting',
    problem             text        not null default '',
    ssh_host            text,
    ssh_port            integer,
    ssh_user            text,
    pairing_id          text,
    is_paired           boolean     not null default false,
    pairing_token       bytea,
    pairing_expires_at  timestamptz,
    version             integer     not null default 1,
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now(),
    deleted_at          timestamptz,
    removed_at          timestamptz,
    constraint instance_desired_check check (desired in ('running', 'stopped', 'deleted')),
    constraint instance_phase_check check (phase in ('starting', 'running', 'stopped', 'failed'))
);
create unique index instance_name_key on instance (name) where desired <> 'deleted';
create index instance_account_id_idx on instance (account_id, sort_order, id) where desired <> 'deleted';
create index instance_work_idx on instance (id)
    where (generation <> observed_generation or nudge <> observed_nudge) and removed_at is null;
create index instance_pairing_id_idx on instance (pairing_id);

-- Which pair of ports is whose. A pair is taken in the transaction that inserts its instance and freed in the one that
-- marks it removed, never before the backend has let go of it. Without an instance: somebody else was seen on it.
create table port_pair (
    chrome_port   integer     primary key,
    terminal_port integer     not null,
    instance_id   integer     references instance (id),
    seen_at       timestamptz not null default now(),
    constraint port_pair_terminal_port_key unique (terminal_port),
    constraint port_pair_instance_id_key unique (instance_id)
);

-- Variables that an instance is given in the place of the account's, sealed.
create table instance_key (
    instance_id integer not null references instance (id),
    name        text    not null,
    sealed      bytea   not null,
    primary key (instance_id, name)
);

-- The SSH host key of an instance: its private half sealed, its public half told to ssh-manager.
create table host_key (
    instance_id integer primary key references instance (id),
    sealed      bytea   not null,
    public_key  text    not null
);

-- A copy: the public key by which ssh-manager signs in. `applied_version` is the newest that the instance was given.
create table ssh_key (
    instance_id     integer primary key,
    public_key      text    not null,
    fingerprint     text    not null,
    version         integer not null,
    applied_version integer not null default 0
);

-- What holds for every instance of an account: variables, sealed, and defaults.
create table account_key (
    account_id text  not null,
    name       text  not null,
    sealed     bytea not null,
    primary key (account_id, name)
);
create table setting (
    account_id text  not null,
    name       text  not null,
    value      jsonb not null,
    primary key (account_id, name)
);

-- A copy of the gateway's users, and the version of each one's assignment.
create table account_user (
    user_id            text    primary key,
    account_id         text    not null,
    version            integer not null,
    is_deleted         boolean not null default false,
    assignment_version integer not null default 0
);
create table assignment (
    user_id     text    not null references account_user (user_id),
    instance_id integer not null references instance (id),
    primary key (user_id, instance_id)
);
create index assignment_instance_id_idx on assignment (instance_id);

-- One secret that everybody knows: a key that opens it is the key that seals the rest.
create table key_check (
    is_only boolean primary key default true check (is_only),
    sealed  bytea   not null
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
