-- migrate:up

-- Talk mode is one browser's, and is not kept; processes of the version before still write it.
alter table voice_setting alter column talk_mode_active set default false;

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
