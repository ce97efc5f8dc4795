-- migrate:up

-- What agents of an account were told to remember: one entry per key. `haystack` is key, tags and value, folded as questions
-- are: trigrams look at its beginning (pg_trgm, at its own threshold of 0.6), full-text search at `text`, which is made of it.
-- `meaning` is a vector of length one, as the model `meant_by` told it when the row was written; most installations have none.
create table memory (
    account_id text        not null,
    key        text        not null,
    value      text        not null,
    namespace  text        not null,
    tags       text[]      not null default '{}',
    haystack   text        not null,
    text       tsvector    not null,
    meant_by   text        not null default '',
    meaning    real[],
    updated_at timestamptz not null default now(),
    primary key (account_id, key)
);
create index memory_account_id_idx on memory (account_id, updated_at desc);
create index memory_text_idx on memory using gin (text) with (fastupdate = off);
create index memory_haystack_idx on memory using gin (left(haystack, 1000) public.gin_trgm_ops) with (fastupdate = off);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
