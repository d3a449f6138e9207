-- What someone with psql would write for the dataset `messages`: one join, the same 25 columns, rows and order, as of the same snapshot.
-- :org_id, :snapshot (pg_current_snapshot()), :from and :to are given. Times come as PostgreSQL prints them, texts unguarded.
WITH tag_events AS (
    SELECT e.message_id, e.tag_id, (array_agg(e.kind ORDER BY e.at DESC, e.id DESC))[1] AS last_kind,
           min(ROW(e.at, e.id)) FILTER (WHERE e.kind = 'tag_applied') AS first_applied
    FROM ingest.events e
    WHERE e.org_id = :'org_id' AND e.tag_id IS NOT NULL AND e.message_id IS NOT NULL
      AND pg_visible_in_snapshot(e.added, :'snapshot') AND (e.ended IS NULL OR NOT pg_visible_in_snapshot(e.ended, :'snapshot'))
    GROUP BY e.message_id, e.tag_id
), held AS (
    SELECT h.message_id, string_agg(h.tag_id, ',' ORDER BY h.first_applied) AS tag_ids, string_agg(coalesce(t.name, ''), ',' ORDER BY h.first_applied) AS tag_names
    FROM tag_events h
    LEFT JOIN ingest.tags t ON t.org_id = :'org_id' AND t.id = h.tag_id
      AND pg_visible_in_snapshot(t.added, :'snapshot') AND (t.ended IS NULL OR NOT pg_visible_in_snapshot(t.ended, :'snapshot'))
    WHERE h.last_kind = 'tag_applied'
    GROUP BY h.message_id
)
SELECT m.id, m.created_at, m.conversation_id, ch.medium, ch.name AS channel, ch.display_name, c.contact_id, k.primary_identifier, k.secondary_identifier, m.message_type,
       m.origin, m.outbound_message_type, CASE WHEN m.sender_kind = 'visitor' THEN 'Inbound' ELSE 'Outbound' END AS direction,
       CASE WHEN m.sender_kind = 'agent' THEN m.sender_id END AS agent_id, a.name AS agent_name, a.reference, a.team_id, t.name AS team_name, h.tag_ids, h.tag_names, m.content, c.url, m.post_url,
       m.updated_at, m.deleted_at
FROM ingest.messages m
LEFT JOIN ingest.conversations c ON c.org_id = :'org_id' AND c.id = m.conversation_id
  AND pg_visible_in_snapshot(c.added, :'snapshot') AND (c.ended IS NULL OR NOT pg_visible_in_snapshot(c.ended, :'snapshot'))
LEFT JOIN ingest.channels ch ON ch.org_id = :'org_id' AND ch.id = c.channel_id
  AND pg_visible_in_snapshot(ch.added, :'snapshot') AND (ch.ended IS NULL OR NOT pg_visible_in_snapshot(ch.ended, :'snapshot'))
LEFT JOIN ingest.contacts k ON k.org_id = :'org_id' AND k.id = c.contact_id
  AND pg_visible_in_snapshot(k.added, :'snapshot') AND (k.ended IS NULL OR NOT pg_visible_in_snapshot(k.ended, :'snapshot'))
LEFT JOIN ingest.agents a ON m.sender_kind = 'agent' AND a.org_id = :'org_id' AND a.id = m.sender_id
  AND pg_visible_in_snapshot(a.added, :'snapshot') AND (a.ended IS NULL OR NOT pg_visible_in_snapshot(a.ended, :'snapshot'))
LEFT JOIN ingest.teams t ON t.org_id = :'org_id' AND t.id = a.team_id
  AND pg_visible_in_snapshot(t.added, :'snapshot') AND (t.ended IS NULL OR NOT pg_visible_in_snapshot(t.ended, :'snapshot'))
LEFT JOIN held h ON h.message_id = m.id
WHERE m.org_id = :'org_id' AND m.created_at >= :'from' AND m.created_at < :'to'
  AND pg_visible_in_snapshot(m.added, :'snapshot') AND (m.ended IS NULL OR NOT pg_visible_in_snapshot(m.ended, :'snapshot'))
ORDER BY m.created_at, m.id
