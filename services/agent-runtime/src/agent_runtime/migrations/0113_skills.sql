-- migrate:up

-- Skills that an account has; what is told stands here, so that a registry that changes or goes changes nothing.
create table skill (
    account_id    text        not null,
    name          text        not null,
    version       text        not null,
    description   text        not null,
    author        text        not null default '',
    tags          text[]      not null default '{}',
    allowed_tools text[],
    instructions  text        not null,
    source        text        not null,
    is_enabled    boolean     not null default true,
    installed_at  timestamptz not null default now(),
    primary key (account_id, name)
);

-- Accounts that were given the skills everybody begins with; never twice, so what is uninstalled stays so.
create table skill_beginning (
    account_id text        primary key,
    begun_at   timestamptz not null default now()
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
