-- migrate:up

-- What lets a browser see an instance's own pages: whoever knows the ticket of this fingerprint (SHA-256) may, as the
-- user who was given it, for as long as that user may and the credential lasts by which it was got. Every use renews
-- it. The row is deleted by whatever ends that credential.
create table ticket (
    fingerprint   bytea       primary key,
    instance_id   integer     not null,
    account_id    text        not null,
    user_id       text        not null,
    username      text        not null,
    role          text        not null,
    via           text        not null,
    credential_id text        not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null
);
create index ticket_user_id_idx on ticket (user_id, instance_id, created_at);
create index ticket_credential_id_idx on ticket (credential_id);
create index ticket_expires_at_idx on ticket (expires_at);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
