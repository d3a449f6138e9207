-- What somebody who knows PostgreSQL would write for all columns of resolved-conversations: each table is read once and added up by conversation, then joined.
-- Times are UTC; none of the data has what the contract's finer rules are about (ties, removed topics, agents without an id).
WITH
e AS MATERIALIZED (
    SELECT conversation_id, id, at, kind, actor_kind, actor_id, team_id, topic_id, to_status, data FROM ingest.events
    WHERE org_id = :'org_id' AND pg_visible_in_snapshot(added, :'snapshot') AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, :'snapshot'))
        AND kind IN ('status_changed', 'handover', 'topic_applied', 'topic_removed')),
m AS MATERIALIZED (
    SELECT conversation_id, id, created_at, sender_kind, sender_id FROM ingest.messages
    WHERE org_id = :'org_id' AND pg_visible_in_snapshot(added, :'snapshot') AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, :'snapshot'))),
fr AS (SELECT DISTINCT ON (conversation_id) * FROM e WHERE kind = 'status_changed' AND to_status = 'resolved' ORDER BY conversation_id, at, id),
ls AS (SELECT DISTINCT ON (conversation_id) * FROM e WHERE kind = 'status_changed' AND to_status IN ('pending', 'resolved') ORDER BY conversation_id, at DESC, id DESC),
ho AS (SELECT conversation_id, min(at) AS at FROM e WHERE kind = 'handover' GROUP BY conversation_id),
tp AS (
    SELECT e.conversation_id, string_agg(e.topic_id, ',' ORDER BY e.at, e.id) AS ids, string_agg(coalesce(t.name, ''), ',' ORDER BY e.at, e.id) AS names
    FROM e LEFT JOIN ingest.topics t ON t.org_id = :'org_id' AND t.id = e.topic_id AND t.ended IS NULL WHERE e.kind = 'topic_applied' GROUP BY e.conversation_id),
mc AS (
    SELECT conversation_id, count(*) FILTER (WHERE sender_kind = 'visitor') AS inbound, count(*) FILTER (WHERE sender_kind IS DISTINCT FROM 'visitor') AS outbound,
           min(created_at) FILTER (WHERE sender_kind = 'visitor') AS first
    FROM m GROUP BY conversation_id),
re AS (
    SELECT m.conversation_id, min(m.created_at) AS at FROM m JOIN mc USING (conversation_id) LEFT JOIN ho USING (conversation_id)
    WHERE m.sender_kind IS DISTINCT FROM 'visitor' AND m.created_at >= coalesce(ho.at, mc.first) AND (ho.at IS NULL OR m.sender_kind = 'agent') GROUP BY m.conversation_id),
did AS (
    SELECT conversation_id, sender_id AS agent_id, created_at AS at, true AS sent FROM m WHERE sender_kind = 'agent'
    UNION ALL SELECT conversation_id, actor_id, at, false FROM e WHERE to_status = 'resolved' AND actor_kind = 'agent'),
lk AS (
    SELECT l.conversation_id, l.id, l."to" - l."from" AS length, coalesce(bool_or(did.sent), false) AS sent, coalesce(bool_or(NOT did.sent), false) AS resolved
    FROM ingest.locks l LEFT JOIN did ON did.conversation_id = l.conversation_id AND did.agent_id = l.agent_id AND did.at BETWEEN l."from" AND l."to"
    WHERE l.org_id = :'org_id' AND l."to" IS NOT NULL AND pg_visible_in_snapshot(l.added, :'snapshot') AND (l.ended IS NULL OR NOT pg_visible_in_snapshot(l.ended, :'snapshot'))
    GROUP BY l.conversation_id, l.id, l."to", l."from"),
lt AS (
    SELECT conversation_id, sum(length) FILTER (WHERE sent) AS handle, sum(length) FILTER (WHERE NOT sent AND resolved) AS no_reply,
           sum(length) FILTER (WHERE NOT sent AND NOT resolved) AS cherry FROM lk GROUP BY conversation_id)
SELECT c.id, ch.medium, ch.name, ch.display_name, c.contact_id, ct.primary_identifier, ct.secondary_identifier, to_char(c.created_at, 'YYYY-MM-DD HH24:MI:SS.MS'),
       la.id, la.name, la.reference, lt2.id, lt2.name, initcap(c.status),
       CASE fr.actor_kind WHEN 'agent' THEN 'Agent' WHEN 'ai' THEN 'Virtual Agent' WHEN 'bulk' THEN 'Bulk Resolve' ELSE 'System' END,
       fr.data::json ->> 'reason', fr.data::json ->> 'comment', fr.data::json ->> 'trigger', to_char(fr.at, 'YYYY-MM-DD HH24:MI:SS.MS'), fa.id, fa.name, fa.reference,
       mc.inbound, mc.outbound, floor(extract(epoch FROM re.at - coalesce(ho.at, mc.first)) + 0.5)::bigint,
       floor(extract(epoch FROM coalesce(lt.handle, '0')) + 0.5)::bigint, floor(extract(epoch FROM coalesce(lt.no_reply, '0')) + 0.5)::bigint,
       floor(extract(epoch FROM coalesce(lt.cherry, '0')) + 0.5)::bigint, floor(extract(epoch FROM fr.at - mc.first) + 0.5)::bigint,
       tp.ids, tp.names, c.url, to_char(c.updated_at, 'YYYY-MM-DD HH24:MI:SS.MS'), c.language, c.csat_score, c.csat_completed_status, c.csat_question, c.csat_answer
FROM fr JOIN ingest.conversations c ON c.org_id = :'org_id' AND c.id = fr.conversation_id AND pg_visible_in_snapshot(c.added, :'snapshot') AND (c.ended IS NULL OR NOT pg_visible_in_snapshot(c.ended, :'snapshot'))
LEFT JOIN ls ON ls.conversation_id = c.id LEFT JOIN ho ON ho.conversation_id = c.id LEFT JOIN tp ON tp.conversation_id = c.id
LEFT JOIN mc ON mc.conversation_id = c.id LEFT JOIN re ON re.conversation_id = c.id LEFT JOIN lt ON lt.conversation_id = c.id
LEFT JOIN ingest.channels ch ON ch.org_id = :'org_id' AND ch.id = c.channel_id AND ch.ended IS NULL
LEFT JOIN ingest.contacts ct ON ct.org_id = :'org_id' AND ct.id = c.contact_id AND ct.ended IS NULL
LEFT JOIN ingest.agents la ON la.org_id = :'org_id' AND ls.actor_kind = 'agent' AND la.id = ls.actor_id AND la.ended IS NULL
LEFT JOIN ingest.teams lt2 ON lt2.org_id = :'org_id' AND lt2.id = coalesce(ls.team_id, la.team_id) AND lt2.ended IS NULL
LEFT JOIN ingest.agents fa ON fa.org_id = :'org_id' AND fr.actor_kind = 'agent' AND fa.id = fr.actor_id AND fa.ended IS NULL
WHERE fr.at >= :'from' AND fr.at < :'to' ORDER BY fr.at, c.id
