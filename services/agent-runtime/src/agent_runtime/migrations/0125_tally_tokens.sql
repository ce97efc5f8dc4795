-- migrate:up

-- Tokens that models took for an agent, counted in the transaction that records what the call cost. Every agent tells of
-- its zero once, so that what comes after it is told whole.
alter table tally add column tokens_total bigint not null default 0;
update tally set is_changed = true;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
