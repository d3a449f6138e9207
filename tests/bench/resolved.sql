-- Conversations that were all resolved, with what their figures are made of, written straight into the tables. :org_id and :rows (conversations) are
-- given; three messages, three events and one lock each. Deterministic for a seed.
SELECT setseed(0.42);
SET work_mem = '256MB';
SET synchronous_commit = off;
BEGIN;
INSERT INTO ingest.channels (org_id, id, medium, name, display_name)
SELECT :'org_id', 'ch_' || n, (array['Web chat', 'Email', 'Twitter', 'WhatsApp'])[1 + n % 4], 'Channel ' || n, CASE WHEN n % 3 > 0 THEN '@support_' || n END
FROM generate_series(1, 12) n;
INSERT INTO ingest.teams (org_id, id, name) SELECT :'org_id', 'team_' || n, 'Team ' || n FROM generate_series(1, 20) n;
INSERT INTO ingest.agents (org_id, id, name, reference, team_id, removed)
SELECT :'org_id', 'agent_' || n, 'Agent ' || n, CASE WHEN n % 5 > 0 THEN 'ref-' || n END, 'team_' || 1 + n % 20, false FROM generate_series(1, 300) n;
INSERT INTO ingest.topics (org_id, id, name) SELECT :'org_id', 'topic_' || n, 'Topic ' || n FROM generate_series(1, 50) n;
INSERT INTO ingest.contacts (org_id, id, medium, primary_identifier, secondary_identifier, name, profile, attributes, created_at)
SELECT :'org_id', 'contact_' || n, 'Email', 'customer' || n || '@mail.example', CASE WHEN n % 3 = 0 THEN 'Customer ' || n END, 'Customer ' || n, '{}', '[]',
       timestamptz '2025-06-01 00:00Z'
FROM generate_series(1, :rows / 2) n;

CREATE TEMP TABLE drafts AS
SELECT n, 'conv_' || lpad(n::text, 9, '0') AS id, 1 + floor(random() * 300)::int AS agent, floor(random() * 3600) AS answered,
       3600 + floor(random() * 80000) AS resolved, timestamptz '2026-01-01 00:00Z' + (n::float8 / :rows) * interval '80 days' AS at
FROM generate_series(1, :rows) n;
ANALYZE drafts;
INSERT INTO ingest.conversations (org_id, id, channel_id, contact_id, status, language, url, created_at, updated_at, csat_score, csat_completed_status, metadata, parameters)
SELECT :'org_id', id, 'ch_' || 1 + n % 12, 'contact_' || 1 + n % (:rows / 2), CASE WHEN n % 9 = 0 THEN 'new' ELSE 'resolved' END, 'English',
       'https://app.example/inbox/conversations/' || n, at, at + interval '1 day', CASE WHEN n % 4 = 0 THEN 1 + n % 5 END, CASE WHEN n % 4 = 0 THEN 'Successful' END, '{}', '{}'
FROM drafts;
INSERT INTO ingest.messages (org_id, id, conversation_id, created_at, sender_kind, sender_id, content)
SELECT :'org_id', 'msg_' || d.n || '_' || k, d.id, date_trunc('milliseconds', d.at + d.answered * (k - 1) * interval '1 second'), CASE WHEN k = 2 THEN 'agent' ELSE 'visitor' END,
       CASE WHEN k = 2 THEN 'agent_' || d.agent END, 'A message like many others, number ' || k
FROM drafts d CROSS JOIN generate_series(1, 3) k ORDER BY d.n, k;
INSERT INTO ingest.events (org_id, id, conversation_id, at, kind, actor_kind, actor_id, data, topic_id, to_status)
SELECT :'org_id', 'evt_' || d.n || '_' || e.k, d.id, date_trunc('milliseconds', d.at + e.after * interval '1 second'), e.kind, e.actor, CASE WHEN e.actor = 'agent' THEN 'agent_' || d.agent END,
       e.data, e.topic, e.status
FROM drafts d CROSS JOIN LATERAL (VALUES
    (1, d.answered / 2, CASE WHEN d.n % 3 = 0 THEN 'handover' ELSE 'seen' END, 'ai', '{}', NULL, NULL),
    (2, d.answered, 'topic_applied', 'agent', '{"topic_id":"topic_' || 1 + d.n % 50 || '"}', 'topic_' || 1 + d.n % 50, NULL),
    (3, d.resolved, 'status_changed', CASE WHEN d.n % 5 = 0 THEN 'ai' ELSE 'agent' END, '{"reason":"Solved","to":"resolved","trigger":"Human Agent"}', NULL, 'resolved')
) e (k, after, kind, actor, data, topic, status) ORDER BY d.n, e.k;
INSERT INTO ingest.locks (org_id, id, conversation_id, agent_id, "from", "to")
SELECT :'org_id', 'lock_' || n, id, 'agent_' || agent, at + answered * interval '0.5 second', at + (answered + 60) * interval '1 second' FROM drafts;
COMMIT;
VACUUM (ANALYZE) ingest.channels, ingest.teams, ingest.agents, ingest.topics, ingest.contacts, ingest.conversations, ingest.messages, ingest.events, ingest.locks;
