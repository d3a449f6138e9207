-- The queries of the audit trail. Appending runs as waybill_auditor, reading under the organisation's row-level security.

-- name: heads(org_ids)
-- As waybill_auditor. The newest entry of each chain; nulls where there is none.
SELECT c.org_id, h.seq, h.hash FROM unnest(:org_ids::text[]) AS c (org_id)
LEFT JOIN LATERAL (SELECT seq, hash FROM tenancy.audit a WHERE a.org_id = c.org_id ORDER BY seq DESC LIMIT 1) h ON true;

-- name: known(message_ids)
-- As waybill_auditor. Which of these messages have their entry already.
SELECT message_id FROM tenancy.audit WHERE message_id = ANY(:message_ids::text[]);

-- name: append(org_ids, seqs, ats, actors, addresses, actions, subjects, details, purposes, prev_hashes, hashes, message_ids)!
-- As waybill_auditor. An entry of another writer in the same place makes it fail as a whole.
INSERT INTO tenancy.audit (org_id, seq, at, actor, address, action, subject, details, purpose, prev_hash, hash, message_id)
SELECT * FROM unnest(:org_ids::text[], :seqs::bigint[], :ats::timestamptz[], :actors::text[], :addresses::text[], :actions::text[], :subjects::text[],
    :details::text[], :purposes::text[], :prev_hashes::bytea[], :hashes::bytea[], :message_ids::text[]);

-- name: newest(org_id, action, actor, subject, from_at, to_at, before, count)
SELECT org_id, seq, at, actor, address, action, subject, details, purpose, prev_hash, hash FROM tenancy.audit
WHERE org_id = :org_id AND (:before::bigint IS NULL OR seq < :before)
  AND (:action::text IS NULL OR action = :action OR starts_with(action, :action || '.'))
  AND (:actor::text IS NULL OR actor = :actor) AND (:subject::text IS NULL OR subject = :subject)
  AND (:from_at::timestamptz IS NULL OR at >= :from_at) AND (:to_at::timestamptz IS NULL OR at < :to_at)
ORDER BY seq DESC LIMIT :count;

-- name: following(org_id, after, until, count)
SELECT org_id, seq, at, actor, address, action, subject, details, purpose, prev_hash, hash FROM tenancy.audit
WHERE org_id = :org_id AND seq > :after AND seq <= :until ORDER BY seq LIMIT :count;

-- name: head(org_id)^
SELECT seq, hash FROM tenancy.audit WHERE org_id = :org_id ORDER BY seq DESC LIMIT 1;
