-- migrate:up

-- Why plain code did not do what a rule would have had it do; empty where no rule did, or it could.
alter table delegation add column fallback_reason text not null default '';

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
