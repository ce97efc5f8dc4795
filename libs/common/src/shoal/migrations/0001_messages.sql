-- Tables that every schema has: what is to be sent, what was received, who holds what, which copies are complete.
-- migrate:up

-- Facts waiting for the relay, written in the transaction that made them true. Published rows stay a day as a replay log.
create table outbox (
    id           bigint      generated always as identity primary key,
    event_id     uuid        not null unique,
    subject      text        not null,
    type         text        not null,
    entity_id    text        not null,
    payload      bytea       not null,
    traceparent  text,
    recorded_at  timestamptz not null default now(),
    published_at timestamptz,
    attempts     integer     not null default 0,
    rejected_at  timestamptz,
    rejection    text
);
create index outbox_pending_idx on outbox (id) where published_at is null and rejected_at is null;
create index outbox_rejected_idx on outbox (entity_id) where rejected_at is not null and published_at is null;
create index outbox_published_idx on outbox (published_at) where published_at is not null;

-- Facts whose effects stand. Rows outlive the stream, so a redelivery of any age changes nothing.
create table inbox (
    consumer    text        not null,
    event_id    uuid        not null,
    received_at timestamptz not null default now(),
    primary key (consumer, event_id)
);
create index inbox_received_idx on inbox (received_at);

-- Who may act alone, until when. A new holder raises the epoch; the holder's writes check it.
create table lease (
    key        text        primary key,
    owner      text        not null,
    epoch      bigint      not null,
    expires_at timestamptz not null
);

-- Copies of what other services own: complete once every row that stood at some moment has been read.
create table copy_state (
    name         text        primary key,
    cursor       text,
    completed_at timestamptz
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
