-- migrate:up

-- The run for whose call something is set aside: with the run's end it is given back, whoever ends it.
alter table budget_hold add column run_id text not null default '';
create index budget_hold_run_id_idx on budget_hold (run_id);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
