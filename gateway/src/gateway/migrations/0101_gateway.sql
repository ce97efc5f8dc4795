-- migrate:up

-- An account owns everything else. The first one is made by setting Shoal up, and its admins make the others; that there is
-- only one first account is what decides a race between set-ups. Deleted rows stay as tombstones with their last version.
create table account (
    id         text        primary key,
    name       text        not null,
    plan       text        not null,
    is_first   boolean     not null default false,
    version    integer     not null default 1,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index account_is_first_key on account (is_first) where is_first;

-- A user; `user` is a reserved word. Whoever changes the users of an account locks the account's row first. A deleted user's
-- name, address and password are forgotten, so both names may be given again.
create table person (
    id            text        primary key,
    account_id    text        not null references account (id),
    username      text        not null,
    email         text        not null,
    role          text        not null,
    password_hash text        not null,
    version       integer     not null default 1,
    created_at    timestamptz not null default now(),
    deleted_at    timestamptz,
    constraint person_role_check check (role in ('admin', 'user'))
);
create unique index person_username_key on person (lower(username)) where deleted_at is null;
create unique index person_email_key on person (lower(email)) where deleted_at is null;
create index person_account_id_idx on person (account_id, created_at);

-- The signed-in state of a user: of a browser (`session`: slides until `ends_at`) or of the web chat (`token`: slides for ever).
-- Good while `ended_at` is null and `expires_at` lies ahead, by this clock. Ended rows stay a month: they tell which
-- addresses a user is known at.
create table login (
    id           text        primary key,
    person_id    text        not null references person (id),
    kind         text        not null,
    secret_hash  bytea       not null,
    source       text        not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at   timestamptz not null,
    ends_at      timestamptz,
    ended_at     timestamptz,
    end_reason   text,
    constraint login_kind_check check (kind in ('session', 'token')),
    constraint login_secret_hash_key unique (secret_hash)
);
create index login_person_id_idx on login (person_id) where ended_at is null;
create index login_source_idx on login (person_id, source);
create index login_expires_at_idx on login (expires_at) where ended_at is null;
create index login_ended_at_idx on login (ended_at) where ended_at is not null;

-- Attempts to sign in, per username and per address. A row counts attempts that did not succeed; past a free number each one
-- closes the door for twice as long, up to a limit. Rows left alone for an hour count from the beginning again.
create table login_attempt (
    key          text        primary key,
    failures     integer     not null,
    closed_until timestamptz,
    tried_at     timestamptz not null default now()
);
create index login_attempt_tried_at_idx on login_attempt (tried_at);

-- One-time links that sign a user in.
create table sign_in_link (
    code_hash  bytea       primary key,
    person_id  text        not null references person (id),
    expires_at timestamptz not null,
    used_at    timestamptz
);

-- API keys; `kind` is what they begin with.
create table api_key (
    id           text        primary key,
    person_id    text        not null references person (id),
    account_id   text        not null references account (id),
    kind         text        not null,
    name         text        not null,
    secret_hash  bytea       not null,
    hint         text        not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at   timestamptz,
    constraint api_key_kind_check check (kind in ('agd', 'cn')),
    constraint api_key_secret_hash_key unique (secret_hash)
);
create index api_key_account_id_idx on api_key (account_id, created_at) where revoked_at is null;
create index api_key_person_id_idx on api_key (person_id) where revoked_at is null;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
