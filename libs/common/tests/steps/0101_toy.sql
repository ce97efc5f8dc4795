-- What the toy service of these tests keeps.
-- migrate:up
create table note (
    id      text    primary key,
    body    text    not null default '',
    version integer not null default 1,
    constraint note_body_short check (length(body) <= 100)
);

-- migrate:down
