-- migrate:up

-- An agent that its account registered (AgentDrop): pending until it hands in a public key, connected, disconnected when its
-- keys were wiped. `agent_id` is the account's own name for it. A connect token lets it hand in a key once, within its time.
-- Deleted rows stay as tombstones: agent pairings that ended still name them.
create table agent (
    id                       uuid        primary key,
    account_id               text        not null,
    agent_id                 text        not null,
    name                     text        not null,
    description              text,
    webhook_url              text,
    agent_type               text        not null,
    metadata                 jsonb,
    is_available             boolean     not null,
    status                   text        not null,
    public_key               text,
    public_key_algorithm     text,
    key_version              integer     not null default 0,
    signing_public_key       text,
    signing_key_algorithm    text,
    connect_token_id         text,
    connect_token_hash       bytea,
    connect_token_expires_at timestamptz,
    version                  integer     not null default 1,
    created_at               timestamptz not null default now(),
    last_seen_at             timestamptz,
    deleted_at               timestamptz,
    constraint agent_status_check check (status in ('pending', 'connected', 'disconnected')),
    constraint agent_connected_check check ((status = 'connected') = (public_key is not null)),
    constraint agent_connect_token_hash_key unique (connect_token_hash)
);
create unique index agent_account_id_agent_id_key on agent (account_id, agent_id) where deleted_at is null;

-- Keys by which agents speak for themselves. Revoked rows stay, so that their holders can be told so.
create table agent_key (
    id           text        primary key,
    agent_uuid   uuid        not null references agent (id),
    account_id   text        not null,
    name         text        not null,
    prefix       text        not null,
    secret_hash  bytea       not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at   timestamptz,
    constraint agent_key_secret_hash_key unique (secret_hash)
);
create index agent_key_agent_uuid_idx on agent_key (agent_uuid, created_at);

-- Trust between two accounts. An invite (pending) names an address; whoever has it is the invitee, and nobody is while nobody
-- has it. A rejected invite is deleted. Writers take locks in this order: address, accounts, connection, agents, pairings.
create table connection (
    id                 uuid        primary key,
    inviter_account_id text        not null,
    invitee_account_id text,
    invited_email      text        not null,
    message            text,
    status             text        not null default 'pending',
    version            integer     not null default 1,
    created_at         timestamptz not null default now(),
    accepted_at        timestamptz,
    revoked_at         timestamptz,
    revoked_reason     text,
    constraint connection_status_check check (status in ('pending', 'active', 'revoked')),
    constraint connection_active_check check (status <> 'active' or invitee_account_id is not null),
    constraint connection_accounts_check check (inviter_account_id <> invitee_account_id)
);
create unique index connection_accounts_key
    on connection (least(inviter_account_id, invitee_account_id), greatest(inviter_account_id, invitee_account_id))
 where status <> 'revoked' and invitee_account_id is not null;
create unique index connection_invited_email_key
    on connection (inviter_account_id, lower(invited_email))
 where status = 'pending' and invitee_account_id is null;
create index connection_inviter_account_id_idx on connection (inviter_account_id);
create index connection_invitee_account_id_idx on connection (invitee_account_id);
create index connection_waiting_idx on connection (lower(invited_email)) where status = 'pending' and invitee_account_id is null;

-- Invites sent in the last hour, rejected ones included.
create table invite (
    id         bigint      generated always as identity primary key,
    account_id text        not null,
    sent_at    timestamptz not null default now()
);
create index invite_account_id_idx on invite (account_id, sent_at);

-- Who wants to hear nothing of whom.
create table block (
    id                 uuid        primary key,
    account_id         text        not null,
    blocked_account_id text        not null,
    connection_id      uuid        not null references connection (id),
    blocked_at         timestamptz not null default now(),
    constraint block_accounts_key unique (account_id, blocked_account_id)
);

-- Two agents of two connected accounts. `permission` is seen from the proposer's side; while pending, the awaited account has to
-- agree. Two agents have one pairing at a time, whoever proposed it; ended rows stay.
create table agent_pairing (
    id                  uuid        primary key,
    connection_id       uuid        not null references connection (id),
    proposer_account_id text        not null,
    proposer_agent_id   uuid        not null references agent (id),
    target_account_id   text        not null,
    target_agent_id     uuid        not null references agent (id),
    permission          text        not null,
    status              text        not null default 'pending',
    awaiting_account_id text,
    version             integer     not null default 1,
    created_at          timestamptz not null default now(),
    confirmed_at        timestamptz,
    revoked_at          timestamptz,
    revoked_reason      text,
    constraint agent_pairing_permission_check check (permission in ('both', 'send_only', 'receive_only')),
    constraint agent_pairing_status_check check (status in ('pending', 'active', 'revoked')),
    constraint agent_pairing_awaiting_check check ((status = 'pending') = (awaiting_account_id is not null))
);
create unique index agent_pairing_agents_key
    on agent_pairing (least(proposer_agent_id, target_agent_id), greatest(proposer_agent_id, target_agent_id))
 where status <> 'revoked';
create index agent_pairing_connection_id_idx on agent_pairing (connection_id, created_at);
create index agent_pairing_proposer_idx on agent_pairing (proposer_account_id, created_at);
create index agent_pairing_target_idx on agent_pairing (target_account_id, created_at);
create index agent_pairing_proposer_agent_id_idx on agent_pairing (proposer_agent_id) where status <> 'revoked';
create index agent_pairing_target_agent_id_idx on agent_pairing (target_agent_id) where status <> 'revoked';

-- Copies of the gateway's accounts and users. `heard` is the order in which users became known here: an account is reached at
-- the address of its first admin.
create table account (
    id         text    primary key,
    name       text    not null,
    plan       text    not null,
    version    integer not null,
    is_deleted boolean not null default false
);
create table person (
    id         text    primary key,
    account_id text    not null,
    username   text    not null,
    email      text    not null,
    role       text    not null,
    version    integer not null,
    is_deleted boolean not null default false,
    heard      bigint  generated always as identity
);
create index person_email_idx on person (lower(email)) where not is_deleted;
create index person_account_id_idx on person (account_id, heard) where not is_deleted;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
