-- migrate:up

-- What agents draw: a canvas per session, by convention under the session's key. Whoever changes what stands on it holds
-- its row, so commands to one canvas follow each other; `version` counts them.
create table canvas (
    account_id text        not null,
    id         text        not null,
    version    integer     not null default 1,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (account_id, id)
);
create index canvas_updated_at_idx on canvas (account_id, updated_at desc);

-- What stands on canvases. `place` is the order in which elements were drawn first.
create table canvas_element (
    account_id text        not null,
    canvas_id  text        not null,
    id         text        not null,
    element    jsonb       not null,
    position   jsonb,
    place      bigint      not null generated always as identity,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (account_id, canvas_id, id),
    foreign key (account_id, canvas_id) references canvas (account_id, id) on delete cascade
);
create index canvas_element_id_idx on canvas_element (account_id, id, updated_at desc);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
