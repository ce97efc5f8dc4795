-- migrate:up

-- When the agent did what is not told yet, and the reading made last. What was done after a pause is told with one more
-- reading, `pause`: the counters as they were, at the end of the minute before, so that no idle minute shares in it.
alter table tally
    add column changed_at timestamptz not null default clock_timestamp(),
    add column made       jsonb,
    add column pause      jsonb;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
