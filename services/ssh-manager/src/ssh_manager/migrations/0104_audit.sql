-- migrate:up

-- The audit log: a chain per account. Entry n holds an HMAC over its own fields and the hash of entry n - 1; `audit_head`
-- holds where the chain ends and where it begins since the last purge, under an HMAC of its own. Who appends holds the
-- head's row, so numbers have no gaps and times do not go back. Entries are never changed; the beginning of a chain may
-- be cut off by `purge_audit`, whose caller moves the head's `purged_id` in the same transaction.
create table audit (
    account_id    text        not null,
    id            bigint      not null,
    instance_id   integer     not null,
    instance_name text        not null,
    event_type    text        not null,
    username      text        not null,
    source_ip     text        not null,
    details       text        not null,
    duration_ms   integer     not null,
    is_intent     boolean     not null,
    intent_id     bigint,
    created_at    timestamptz not null,
    hash          bytea       not null,
    primary key (account_id, id),
    constraint audit_event_type_check check (event_type in (
        'connection', 'connection_failed', 'disconnection', 'reconnection', 'key_rotation', 'fingerprint_mismatch',
        'ip_restricted', 'health_check', 'tunnel_status'))
);
create index audit_created_at_idx on audit (account_id, created_at);
create index audit_intent_id_idx on audit (account_id, intent_id) where intent_id is not null;

create table audit_head (
    account_id  text        primary key,
    last_id     bigint      not null default 0,
    last_hash   bytea       not null default '',
    last_at     timestamptz not null default '-infinity',
    purged_id   bigint      not null default 0,
    purged_hash bytea       not null default '',
    mac         bytea       not null default ''
);

-- The key of every chain, sealed; whoever opens it has the right key-encryption key.
create table audit_key (
    is_only boolean primary key default true check (is_only),
    sealed  bytea   not null
);

create function audit_is_kept() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' or current_user <> (select relowner::regrole::text from pg_class where oid = tg_relid) then
        raise exception 'entries of the audit log are never changed' using errcode = 'insufficient_privilege';
    end if;
    return old;
end $$;
create trigger audit_is_kept before update or delete on audit for each row execute function audit_is_kept();

-- Cuts the beginning of a chain off, in pieces, and only what is older than a day.
create function purge_audit(p_account_id text, p_last_id bigint) returns bigint
    language sql security definer set search_path from current as $$
    with gone as (
        delete from audit
         where account_id = p_account_id and id <= p_last_id and created_at < now() - interval '1 day'
        returning 1
    )
    select count(*) from gone
$$;

-- From where callers may reach an instance; without a row, or with an empty one, from anywhere.
create table allowed_addresses (
    instance_id integer     primary key,
    account_id  text        not null,
    entries     text        not null,
    updated_at  timestamptz not null default now()
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
