-- migrate:up

-- MCP servers, whose tools the account's agents can be offered. `secrets` is a sealed JSON object: headers of an HTTP
-- server, variables of a program.
create table mcp_server (
    account_id   text        not null,
    name         text        not null,
    url          text        not null default '',
    command      text        not null default '',
    arguments    text[]      not null default '{}',
    secrets      bytea,
    secret_names text[]      not null default '{}',
    is_enabled   boolean     not null default true,
    version      bigint      not null default 1,
    updated_at   timestamptz not null default now(),
    primary key (account_id, name),
    constraint mcp_server_way_check check ((url = '') <> (command = ''))
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
