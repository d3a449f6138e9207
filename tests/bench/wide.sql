-- Conversations whose messages total :messages × :bytes bytes each, for the organisation :org_id: what one row of a file may hold.
BEGIN;
INSERT INTO ingest.conversations (org_id, id, status, created_at, follower_ids, metadata, parameters)
SELECT :'org_id', 'conv_' || lpad(n::text, 4, '0'), 'resolved', timestamptz '2026-01-01 00:00Z' + n * interval '1 hour', '{}', '{}', '{}'
FROM generate_series(1, :conversations) n;
INSERT INTO ingest.messages (org_id, id, conversation_id, created_at, sender_kind, content)
SELECT :'org_id', 'msg_' || lpad(n::text, 4, '0') || '_' || lpad(m::text, 4, '0'), 'conv_' || lpad(n::text, 4, '0'),
       timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' + m * interval '1 minute', 'visitor', left(repeat(md5(n || '/' || m) || ' "quoted" ', :bytes / 42 + 1), :bytes)
FROM generate_series(1, :conversations) n, generate_series(1, :messages) m;
COMMIT;
VACUUM (ANALYZE) ingest.conversations, ingest.messages;
