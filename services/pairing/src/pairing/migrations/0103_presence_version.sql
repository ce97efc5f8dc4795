-- migrate:up

-- Facts of presences carry a version now, and are taken if they are newer. Those of before told a beginning and an end only,
-- which are as good as versions 1 and 2.
alter table presence add column version integer not null default 0;
update presence set version = case when is_online then 1 else 2 end;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
