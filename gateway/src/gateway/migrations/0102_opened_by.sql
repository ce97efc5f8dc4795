-- migrate:up

-- The session that opened a token of the web chat: signing out of it ends the token too. Empty for sessions, and for tokens of
-- before this step.
alter table login add column opened_by text;
create index login_opened_by_idx on login (opened_by) where ended_at is null;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
