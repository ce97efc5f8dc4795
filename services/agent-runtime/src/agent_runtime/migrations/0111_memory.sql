-- migrate:up

-- What agents of an account were told to remember: one entry per key. `names` are the key and the tags; trigrams look at
-- `haystack` (pg_trgm, at its own threshold of 0.6), full-text search at `text`, which is written with the row. `meaning` is a
-- vector of length one, as the model `meant_by` told it when the row was written; most installations have none.
create table memory (
    account_id text        not null,
    key        text        not null,
    value      text        not null,
    namespace  text        not null,
    tags       text[]      not null default '{}',
    names      text        not null default '',
    haystack   text        not null generated always as (names || ' ' || left(value, 1000)) stored,
    text       tsvector    not null,
    meant_by   text        not null default '',
    meaning    real[],
    updated_at timestamptz not null default now(),
    primary key (account_id, key)
);
create index memory_account_id_idx on memory (account_id, updated_at desc);
create index memory_text_idx on memory using gin (text) with (fastupdate = off);
create index memory_haystack_idx on memory using gin (haystack public.gin_trgm_ops) with (fastupdate = off);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
