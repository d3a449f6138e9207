-- The data set that exports are measured on, written straight into the tables by SQL. :org_id and :rows (messages) are given; a tenth as many
-- conversations, a fifteenth contacts, a twentieth tag events. Deterministic for a seed. About 3 in 100 messages have a superseded version,
-- so that the snapshot filter has something to leave out.
SELECT setseed(0.42);
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET work_mem = '256MB';
SET synchronous_commit = off;
BEGIN;

CREATE TEMP TABLE words AS SELECT array['thanks', 'order', 'invoice', 'delivery', 'the', 'a', 'and', 'please', 'refund', 'is', 'it', 'we', 'can', 'not', 'you',
    'yesterday', 'shipment', 'account', 'password', 'reset', 'héllo', 'Zoë', 'straße', 'billing', 'agent', 'problem', 'screen', 'printer', 'works', 'after',
    'update', 'version', '12.5', '1,299.00', '€', 'subscription', 'cancel', 'tomorrow', 'morning', 'support', 'team', 'from', 'with', 'without', 'when', 'why',
    'はい', '您好', 'merci', 'beaucoup', 'parcel', 'tracking', 'number', 'street', 'address', 'changed', 'confirm', 'email', 'phone', 'call', 'back'] AS w;
-- Sentences of 2 to 19 words; one in 40 has quotes, one in 40 a line break.
CREATE TEMP TABLE sentences AS
SELECT n, string_agg(w[1 + floor(random() * cardinality(w))::int], ' ' ORDER BY k)
          || CASE n % 40 WHEN 0 THEN ' "as agreed"' WHEN 1 THEN E'.\nSee below' ELSE (array['.', '!', '?', ''])[1 + n % 4] END AS text
FROM generate_series(0, 4095) n CROSS JOIN LATERAL generate_series(1, 2 + (n * 7) % 18) k CROSS JOIN words GROUP BY n;
ANALYZE sentences;

INSERT INTO ingest.channels (org_id, id, medium, name, display_name)
SELECT :'org_id', 'ch_' || n, (array['Web chat', 'Email', 'Twitter', 'WhatsApp'])[1 + n % 4], 'Channel ' || n, CASE WHEN n % 3 > 0 THEN '@support_' || n END
FROM generate_series(1, 12) n;
INSERT INTO ingest.teams (org_id, id, name) SELECT :'org_id', 'team_' || n, 'Team ' || n FROM generate_series(1, 20) n;
INSERT INTO ingest.agents (org_id, id, name, reference, team_id, removed)
SELECT :'org_id', 'agent_' || md5('agent' || n)::varchar(20), 'Agent ' || n || (array[' Jansen', ' O''Neill', ' Müller', ' García'])[1 + n % 4],
       CASE WHEN n % 5 > 0 THEN 'ref-' || n END, 'team_' || 1 + n % 20, false
FROM generate_series(1, 300) n;
INSERT INTO ingest.tags (org_id, id, name, follower_ids)
SELECT :'org_id', 'tag_' || n, (array['billing', 'vip', 'bug', 'praise', 'complaint'])[1 + n % 5] || ' ' || n, '{}' FROM generate_series(1, 80) n;

INSERT INTO ingest.contacts (org_id, id, medium, primary_identifier, secondary_identifier, name, profile, attributes, created_at)
SELECT :'org_id', 'contact_' || md5('contact' || n)::varchar(22), (array['Web chat', 'Email', 'Twitter', 'WhatsApp'])[1 + n % 4],
       CASE n % 4 WHEN 1 THEN '+324' || lpad((n * 7919 % 100000000)::text, 8, '0') ELSE 'customer' || n || '@mail' || n % 97 || '.example' END,
       CASE WHEN n % 3 = 0 THEN 'Customer ' || n END, 'Customer ' || n, '{}', '[]', timestamptz '2025-06-01 00:00Z' + n * interval '1 second'
FROM generate_series(1, :rows / 15) n;

INSERT INTO ingest.conversations (org_id, id, channel_id, contact_id, status, url, created_at, updated_at, follower_ids, metadata, parameters)
SELECT :'org_id', 'conv_01' || upper(md5('conv' || n))::varchar(22), 'ch_' || 1 + n % 12, 'contact_' || md5('contact' || 1 + n * 7919::bigint % (:rows / 15))::varchar(22),
       (array['new', 'pending', 'resolved', 'resolved'])[1 + n % 4], 'https://app.example/inbox/conversations/' || n,
       timestamptz '2026-01-01 00:00Z' + (10.0 * n / :rows) * interval '90 days', timestamptz '2026-01-02 00:00Z' + (10.0 * n / :rows) * interval '90 days', '{}', '{}', '{}'
FROM generate_series(1, :rows / 10) n;

-- Messages in the order of their times, as they would have come in; those of one conversation lie within two hundred conversations' time.
CREATE TEMP TABLE drafts AS
SELECT n, CASE WHEN n % 33 = 0 THEN 2 ELSE 1 END AS versions,
       least(greatest(n / 10 + floor(random() * 200)::int - 100, 1), :rows / 10) AS conversation, random() AS kind,
       floor(random() * 4096)::int AS s1, CASE WHEN random() < 0.6 THEN floor(random() * 4096)::int END AS s2,
       CASE WHEN random() < 0.25 THEN floor(random() * 4096)::int END AS s3, floor(random() * 300)::int + 1 AS agent, random() AS luck,
       date_trunc('milliseconds', timestamptz '2026-01-01 01:00Z' + (n::float8 / :rows) * interval '90 days' + random() * interval '20 seconds') AS created_at
FROM generate_series(1, :rows) n;
ANALYZE drafts;
INSERT INTO ingest.messages (org_id, id, version, ended, conversation_id, created_at, sender_kind, sender_id, sender_name, content, message_type, origin,
                             outbound_message_type, post_url, updated_at, deleted_at)
SELECT :'org_id', 'msg_01' || upper(md5('msg' || d.n))::varchar(22), v, CASE WHEN v < versions THEN pg_current_xact_id() END,
       'conv_01' || upper(md5('conv' || conversation))::varchar(22), created_at,
       CASE WHEN kind < 0.45 THEN 'visitor' WHEN kind < 0.85 THEN 'agent' WHEN kind < 0.97 THEN 'ai' ELSE 'system' END,
       CASE WHEN kind >= 0.45 AND kind < 0.85 THEN 'agent_' || md5('agent' || agent)::varchar(20) WHEN kind < 0.97 THEN 'bot_1' END, NULL,
       CASE WHEN luck < 0.01 THEN '=' ELSE '' END || a.text || coalesce(' ' || b.text, '') || coalesce(' ' || c.text, ''),
       CASE WHEN luck > 0.95 THEN 'image' ELSE 'text' END, (array['Medium', 'Sparkcentral', 'API'])[1 + d.n % 3],
       CASE WHEN kind >= 0.45 THEN CASE WHEN luck < 0.9 THEN 'Reply' ELSE 'Proactive' END END,
       CASE WHEN luck > 0.97 THEN 'https://social.example/posts/' || d.n END, CASE WHEN d.n % 5 = 0 THEN created_at + interval '3 minutes' END,
       CASE WHEN d.n % 200 = 0 THEN created_at + interval '1 hour' END
FROM drafts d JOIN sentences a ON a.n = s1 LEFT JOIN sentences b ON b.n = s2 LEFT JOIN sentences c ON c.n = s3 CROSS JOIN LATERAL generate_series(1, versions) v;

-- Tag events on messages: a quarter of the tagged ones has two, a twelfth loses the first again.
INSERT INTO ingest.events (org_id, id, conversation_id, at, kind, actor_kind, data, tag_id, message_id)
SELECT :'org_id', 'evt_01' || upper(md5('evt' || n || '/' || k))::varchar(22), 'conv_01' || upper(md5('conv' || conversation))::varchar(22),
       created_at + k * interval '1 minute', CASE WHEN k = 3 THEN 'tag_removed' ELSE 'tag_applied' END, 'agent',
       '{"message_id":"' || message || '","tag_id":"' || tag || '"}', tag, message
FROM (SELECT *, 'msg_01' || upper(md5('msg' || n))::varchar(22) AS message FROM drafts WHERE n % 27 = 0) d
CROSS JOIN LATERAL generate_series(1, CASE WHEN n % 324 = 0 THEN 3 WHEN n % 108 = 0 THEN 2 ELSE 1 END) k
CROSS JOIN LATERAL (SELECT 'tag_' || 1 + (n / 27 * 31 + k % 2) % 80 AS tag) t;
COMMIT;
VACUUM (ANALYZE) ingest.channels, ingest.teams, ingest.agents, ingest.tags, ingest.contacts, ingest.conversations, ingest.messages, ingest.events;
