-- Conversations of an organisation's leads (tests/bench/leads.sql), five messages each: :org_id is given. Three conversations for two leads; one lead in four has none.
SET synchronous_commit = off;
SET work_mem = '256MB';
BEGIN;
CREATE TEMP TABLE talks AS
SELECT 'conv_01' || upper(substr(md5(id || k), 1, 24)) AS id, id AS lead_id, created_at + k * interval '1 hour' AS at
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM ingest.leads_current WHERE org_id = :'org_id') l CROSS JOIN generate_series(1, 3) k WHERE k <= n % 4;
INSERT INTO ingest.conversations (org_id, id, lead_id, status, created_at, updated_at, metadata, parameters)
SELECT :'org_id', id, lead_id, 'resolved', at, at, '{}', '{}' FROM talks;
INSERT INTO ingest.messages (org_id, id, conversation_id, created_at, sender_kind, content)
SELECT :'org_id', 'msg_01' || upper(substr(md5(id || k), 1, 24)), id, at + k * interval '1 minute', CASE WHEN k % 2 = 0 THEN 'ai' ELSE 'visitor' END, 'A message like many others, number ' || k
FROM talks CROSS JOIN generate_series(1, 5) k ORDER BY at, k;
COMMIT;
VACUUM (ANALYZE) ingest.conversations, ingest.messages;
