-- migrate:up

-- Changes of allowed addresses are written down too.
alter table audit
    drop constraint audit_event_type_check,
    add constraint audit_event_type_check check (event_type in (
        'connection', 'connection_failed', 'disconnection', 'reconnection', 'key_rotation', 'fingerprint_mismatch',
        'ip_restricted', 'health_check', 'tunnel_status', 'terminal_session_start', 'terminal_session_end',
        'allowed_ips_changed'));

-- migrate:down
-- Steps only go forward: what went wrong is mended by the next one.
