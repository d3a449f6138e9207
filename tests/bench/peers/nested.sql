-- What somebody who knows PostgreSQL would write for leads with their conversations as JSON: messages counted and conversations gathered once each, then joined.
WITH counted AS (
    SELECT conversation_id, count(*) AS messages FROM ingest.messages
    WHERE org_id = :'org_id' AND pg_visible_in_snapshot(added, :'snapshot') AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, :'snapshot')) GROUP BY conversation_id),
talks AS (
    SELECT c.lead_id, json_agg(json_build_object('id', c.id, 'started_at', to_char(c.created_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'message_count', coalesce(m.messages, 0))
               ORDER BY c.created_at, c.id) AS conversations
    FROM ingest.conversations c LEFT JOIN counted m ON m.conversation_id = c.id
    WHERE c.org_id = :'org_id' AND c.lead_id IS NOT NULL AND pg_visible_in_snapshot(c.added, :'snapshot') AND (c.ended IS NULL OR NOT pg_visible_in_snapshot(c.ended, :'snapshot'))
    GROUP BY c.lead_id)
SELECT json_build_object('id', l.id, 'email', l.email, 'name', l.name, 'phone', l.phone, 'company', l.company, 'status', l.status, 'score', coalesce(s.score, 0),
       'source_url', l.source_url, 'created_at', to_char(l.created_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'last_activity_at', to_char(l.last_activity_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       'tags', l.tags, 'assigned_to', coalesce(a.email, l.assigned_to), 'custom_properties', l.custom_properties::json, 'conversations', coalesce(t.conversations, '[]'))
FROM ingest.leads l LEFT JOIN ingest.lead_scores_current s ON s.org_id = :'org_id' AND s.id = l.id LEFT JOIN ingest.agents_current a ON a.org_id = :'org_id' AND a.id = l.assigned_to
LEFT JOIN talks t ON t.lead_id = l.id
WHERE l.org_id = :'org_id' AND pg_visible_in_snapshot(l.added, :'snapshot') AND (l.ended IS NULL OR NOT pg_visible_in_snapshot(l.ended, :'snapshot')) ORDER BY l.created_at, l.id
