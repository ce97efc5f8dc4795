-- Tokens that models took: a counter that agents tell, and what it gained.
-- migrate:up

alter table minute add column tokens_total bigint;
alter table bucket add column tokens bigint not null default 0;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
