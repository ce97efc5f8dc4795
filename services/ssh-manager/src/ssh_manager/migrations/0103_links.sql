-- migrate:up

-- The connections as they were last seen, one row each; who holds the lease `links` writes them, as soon as it can. What
-- they are now is known to that process alone.
create table link (
    instance_id       integer     primary key,
    state             text        not null,
    connected_at      timestamptz,
    checked_at        timestamptz,
    is_healthy        boolean     not null default false,
    successful_checks integer     not null default 0,
    failed_checks     integer     not null default 0,
    reconnections     integer     not null default 0,
    constraint link_state_check check (state in ('disconnected', 'connecting', 'connected', 'reconnecting', 'failed'))
);

create table link_transition (
    id          bigint      generated always as identity primary key,
    instance_id integer     not null,
    from_state  text        not null,
    to_state    text        not null,
    at          timestamptz not null
);
create index link_transition_instance_id_idx on link_transition (instance_id, id);
create index link_transition_at_idx on link_transition (at);

create table link_event (
    id            bigint      generated always as identity primary key,
    instance_id   integer     not null,
    instance_name text        not null,
    type          text        not null,
    details       text        not null,
    at            timestamptz not null,
    constraint link_event_type_check check (type in (
        'connection', 'disconnection', 'reconnecting', 'health_check', 'key_rotation', 'fingerprint_mismatch',
        'ip_restricted'))
);
create index link_event_instance_id_idx on link_event (instance_id, id);
create index link_event_at_idx on link_event (at);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
