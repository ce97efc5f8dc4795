-- migrate:up

-- What every call of a model took: tokens as the provider counted them, money as the price of that day made of them. Rows
-- are never changed. `input_tokens` holds the cached ones. `price` says where the price came from; null: none was known.
create table usage_entry (
    id                 bigint      primary key generated always as identity,
    account_id         text        not null,
    agent_id           text        not null,
    session_key        text        not null,
    credential_id      text        not null,
    run_id             text        not null,
    provider           text        not null,
    model              text        not null,
    tier               smallint    not null,
    input_tokens       bigint      not null,
    output_tokens      bigint      not null,
    cache_read_tokens  bigint      not null,
    cache_write_tokens bigint      not null,
    input_cost         numeric     not null,
    output_cost        numeric     not null,
    price              text,
    at                 timestamptz not null
);
create index usage_entry_account_id_idx on usage_entry (account_id, at);
create index usage_entry_run_id_idx on usage_entry (run_id);

-- Prices of an account that differ from the published ones, in USD per million tokens, from a day on.
create table price_override (
    id          text    primary key,
    account_id  text    not null,
    provider    text    not null,
    model       text    not null,
    valid_from  date    not null,
    input       numeric not null,
    output      numeric not null,
    cache_read  numeric not null,
    cache_write numeric not null,
    constraint price_override_key unique (account_id, provider, model, valid_from)
);

-- How much may be spent: by a credential, an agent, a session or the whole account, in all or per UTC day or month. Whoever
-- sets something aside holds the rows of every budget that it counts against, in the order of ids.
create table budget (
    id           text        primary key,
    account_id   text        not null,
    scope        text        not null,
    subject      text        not null,
    period       text        not null,
    limit_usd    numeric,
    limit_tokens bigint,
    created_at   timestamptz not null default now(),
    constraint budget_key unique (account_id, scope, subject, period),
    constraint budget_scope_check check (scope in ('token', 'agent', 'session', 'account')),
    constraint budget_period_check check (period in ('total', 'day', 'month'))
);

-- What was spent of a budget since a moment: the start of its day or month, or the beginning of time.
create table budget_spending (
    budget_id text        not null references budget (id) on delete cascade,
    since     timestamptz not null,
    usd       numeric     not null,
    tokens    bigint      not null,
    primary key (budget_id, since)
);

-- What is set aside for calls under way. A hold that nobody settled lapses by itself.
create table budget_hold (
    reservation text        not null,
    budget_id   text        not null references budget (id) on delete cascade,
    usd         numeric     not null,
    tokens      bigint      not null,
    expires_at  timestamptz not null,
    primary key (reservation, budget_id)
);
create index budget_hold_budget_id_idx on budget_hold (budget_id, expires_at);

-- Turns that went through the pipeline, with the time that each stage took.
create table pipeline_turn (
    account_id  text             not null,
    run_id      text             not null,
    agent_id    text             not null,
    session_key text             not null,
    model       text             not null,
    complexity  double precision not null,
    tier        smallint         not null,
    latency_ms  double precision not null,
    is_success  boolean          not null,
    stages      jsonb            not null,
    trace_id    text             not null,
    at          timestamptz      not null,
    primary key (account_id, run_id)
);
create index pipeline_turn_at_idx on pipeline_turn (account_id, at desc);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
