-- migrate:up

-- Whose volumes an instance began with. Neither instance's end changes it; a source whose folder is gone by the time
-- gives nothing.
create table clone (
    instance_id integer primary key references instance (id),
    source_id   integer not null references instance (id)
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
