-- What happened in the conversations that data.sql made for :org_id, and what else is known of who took part: what datasets are worked out from. :rows (messages).
SELECT setseed(0.42);
SET work_mem = '256MB';
SET synchronous_commit = off;
BEGIN;
INSERT INTO ingest.bots (org_id, id, name, kind, channel_id) VALUES (:'org_id', 'bot_1', 'Virtual agent', 'virtual_agent', 'ch_1'), (:'org_id', 'bot_2', 'Support bot', 'bot', 'ch_2');
INSERT INTO ingest.campaigns (org_id, id, type, name) SELECT :'org_id', 'cmp_' || n, CASE WHEN n % 2 = 0 THEN 'campaign' ELSE 'oneTimeMsg' END, 'Campaign ' || n FROM generate_series(1, 30) n;
INSERT INTO ingest.topics (org_id, id, name) SELECT :'org_id', 'topic_' || n, 'Topic ' || n FROM generate_series(1, 50) n;
INSERT INTO ingest.presences (org_id, id, agent_id, type, away_state, "from", "to")
SELECT :'org_id', 'prs_' || a || '_' || n, 'agent_' || md5('agent' || a)::varchar(20), (array['online', 'away', 'offline'])[1 + n % 3], CASE WHEN n % 3 = 1 THEN 'Lunch' END,
       timestamptz '2026-01-01 00:00Z' + n * interval '8 hours', timestamptz '2026-01-01 00:00Z' + (n + 1) * interval '8 hours'
FROM generate_series(1, 300) a, generate_series(0, 269) n;
UPDATE ingest.contacts SET profile = '{"plan":"pro","seats":12,"city":"Gent"}',
    attributes = '[{"id":"a1","name":"VIP","value":"yes","type":"text"},{"id":"a2","name":"Since","value":"2019","type":"number"}]' WHERE org_id = :'org_id';

CREATE TEMP TABLE talks AS
SELECT row_number() OVER (ORDER BY created_at, id) AS n, id, created_at AS at, status, 'agent_' || md5('agent' || 1 + floor(random() * 300)::int)::varchar(20) AS agent
FROM ingest.conversations WHERE org_id = :'org_id';
ANALYZE talks;
UPDATE ingest.conversations c SET assignee_id = agent, follower_ids = array[agent], campaign_id = CASE WHEN n % 10 = 0 THEN 'cmp_' || 1 + n % 30 END,
    support_bot_id = CASE WHEN n % 5 = 0 THEN 'bot_2' END, support_bot_revision_id = CASE WHEN n % 5 = 0 THEN 'r' || n % 3 END, description = CASE WHEN n % 3 = 0 THEN 'About an order' END
FROM talks t WHERE c.org_id = :'org_id' AND c.id = t.id;
-- Each is handed over, or waits for an agent, and has a topic and a tag; three in four are set aside, and every eighth is opened again.
INSERT INTO ingest.events (org_id, id, conversation_id, at, kind, actor_kind, actor_id, data, topic_id, tag_id, to_status)
SELECT :'org_id', 'evt_' || n || '_' || e.k, id, date_trunc('milliseconds', at + e.after), e.kind, e.actor, CASE e.actor WHEN 'agent' THEN agent WHEN 'ai' THEN 'bot_1' END, e.data, e.topic, e.tag, e.status
FROM talks CROSS JOIN LATERAL (VALUES
    (1, interval '2 minutes', CASE WHEN n % 3 = 0 THEN 'handover' ELSE 'seen' END, 'ai', '{}', NULL, NULL, NULL),
    (2, interval '3 minutes', 'queued', 'system', '{"started_by":"Handover","handover_reason":"ASKED"}', NULL, NULL, NULL),
    (3, interval '10 minutes', 'topic_applied', CASE WHEN n % 4 = 0 THEN 'ai' ELSE 'agent' END, '{"topic_id":"topic_' || 1 + n % 50 || '"}', 'topic_' || 1 + n % 50, NULL, NULL),
    (4, interval '20 minutes', 'tag_applied', 'agent', '{"tag_id":"tag_' || 1 + n % 80 || '"}', NULL, 'tag_' || 1 + n % 80, NULL),
    (5, interval '1 hour', CASE WHEN status = 'new' THEN 'seen' ELSE 'status_changed' END, CASE WHEN n % 5 = 0 THEN 'ai' ELSE 'agent' END, '{"reason":"Solved","to":"' || status || '"}', NULL, NULL,
        CASE WHEN status <> 'new' THEN status END),
    (6, interval '2 hours', CASE WHEN n % 8 = 0 THEN 'status_changed' ELSE 'seen' END, 'system', '{"to":"new"}', NULL, NULL, CASE WHEN n % 8 = 0 THEN 'new' END)
) e (k, after, kind, actor, data, topic, tag, status) ORDER BY n, e.k;
INSERT INTO ingest.locks (org_id, id, conversation_id, agent_id, "from", "to")
SELECT :'org_id', 'lock_' || n, id, agent, at + interval '5 minutes', at + interval '25 minutes' FROM talks;
COMMIT;
VACUUM (ANALYZE) ingest.bots, ingest.campaigns, ingest.topics, ingest.presences, ingest.contacts, ingest.conversations, ingest.events, ingest.locks;
