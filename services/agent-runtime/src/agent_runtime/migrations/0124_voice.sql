-- migrate:up

-- How an account speaks with its agents; an account without a row has the defaults.
create table voice_setting (
    account_id        text             primary key,
    enabled           boolean          not null,
    wake_word_enabled boolean          not null,
    language          text             not null,
    echo_cancel       boolean          not null,
    noise_suppression boolean          not null,
    push_to_talk      boolean          not null,
    talk_mode_active  boolean          not null,
    tts_provider      text             not null,
    tts_model         text             not null,
    tts_voice         text             not null,
    tts_speed         double precision not null,
    updated_at        timestamptz      not null default now()
);

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
