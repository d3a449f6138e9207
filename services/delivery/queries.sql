-- name: keep_publication!
-- What an export's files will need to be published; each command that closes a file brings it. The last to come knows of every chunk.
INSERT INTO delivery.publications (export_id, org_id, files_total, manifest_key, manifest_base, expires_at, sftp_folder)
VALUES (:export_id, :org_id, :files_total, :manifest_key, :manifest_base, :expires_at, :sftp_folder)
ON CONFLICT (export_id) DO UPDATE SET manifest_base = excluded.manifest_base
WHERE publications.manifest_base IS NOT NULL AND publications.published_at IS NULL;

-- name: lock_publication^
-- One at a time counts, publishes, fails or discards an export.
SELECT files_total, manifest_key, manifest_base, published_at, failed_code, discard, sftp_folder,
    (SELECT id FROM delivery.signing_keys WHERE retired_at IS NULL) AS signing_key
FROM delivery.publications WHERE export_id = :export_id FOR UPDATE;

-- name: is_over$
-- Whether an export has failed or is being discarded: late commands are dropped.
SELECT EXISTS (SELECT FROM delivery.publications WHERE export_id = :export_id AND discard = 'files');

-- name: protection^
-- Whether the export's files are encrypted, and its password, sealed: null once it has ended.
SELECT e.protected, p.sealed FROM exports.exports e LEFT JOIN exports.passwords p ON p.export_id = e.id WHERE e.id = :export_id;

-- name: keep_file!
INSERT INTO delivery.assemblies (export_id, format, file_number, org_id, name, media_type, key, express, head, separator, tail, empty, traceparent)
VALUES (:export_id, :format, :file_number, :org_id, :name, :media_type, :key, :express, :head, :separator, :tail, :empty, :traceparent)
ON CONFLICT (export_id, format, file_number) DO NOTHING;

-- name: keep_parts!
INSERT INTO delivery.assembly_parts (export_id, format, file_number, org_id, number, key, rows, bytes, sha256, first_key, last_key, crc32, note)
SELECT :export_id, :format, :file_number, :org_id, p.*
FROM unnest(:numbers::integer[], :keys::text[], :rows::bigint[], :bytes::bigint[], :sha256::text[], :first_keys::text[], :last_keys::text[],
    :crc32::bigint[], :notes::bytea[]) AS p
ON CONFLICT DO NOTHING;

-- name: close_file!
-- The last part is known: as far as the numbers go.
UPDATE delivery.assemblies a SET parts_total = greatest(:parts_total::integer,
    (SELECT max(p.number) FROM delivery.assembly_parts p WHERE (p.export_id, p.format, p.file_number) = (a.export_id, a.format, a.file_number)), 0)
WHERE a.export_id = :export_id AND a.format = :format AND a.file_number = :file_number AND a.state = 'open';

-- name: keep_whole_file!
-- A small file is assembled by the handler that brings it.
INSERT INTO delivery.assemblies (export_id, format, file_number, org_id, name, media_type, key, express, head, separator, tail, empty,
    parts_total, state, rows, bytes, sha256, entry)
VALUES (:export_id, :format, :file_number, :org_id, :name, :media_type, :key, :express, '', '', '', '', :parts_total, 'assembled', :rows, :bytes,
    :sha256, :entry)
ON CONFLICT (export_id, format, file_number) DO UPDATE
SET state = 'assembled', key = excluded.key, parts_total = excluded.parts_total, rows = excluded.rows, bytes = excluded.bytes, sha256 = excluded.sha256,
    entry = excluded.entry, lease_by = NULL, lease_until = NULL;

-- name: lease_files
-- Files that have something to append and that nobody works on; the organisation with the fewest before it comes first.
WITH free AS (
    SELECT a.export_id, a.format, a.file_number, a.created_at, row_number() OVER (PARTITION BY a.org_id ORDER BY a.created_at, a.export_id) AS turn
    FROM delivery.assemblies a
    WHERE a.state = 'open' AND a.express = :express AND (a.lease_until IS NULL OR a.lease_until < now())
      AND (a.parts_total = 0 OR EXISTS (SELECT FROM delivery.assembly_parts p
           WHERE p.export_id = a.export_id AND p.format = a.format AND p.file_number = a.file_number AND p.number = 1))
), chosen AS (
    SELECT a.export_id, a.format, a.file_number
    FROM delivery.assemblies a JOIN free USING (export_id, format, file_number)
    WHERE a.state = 'open' AND (a.lease_until IS NULL OR a.lease_until < now())
    ORDER BY free.turn, free.created_at, a.export_id LIMIT :files FOR UPDATE OF a SKIP LOCKED
)
UPDATE delivery.assemblies a SET lease_by = :worker, lease_until = now() + make_interval(secs => :seconds)
FROM chosen c WHERE a.export_id = c.export_id AND a.format = c.format AND a.file_number = c.file_number
RETURNING a.*;

-- name: renew_leases
-- Those that are not answered are lost: someone else's by now, or gone.
UPDATE delivery.assemblies a SET lease_until = now() + make_interval(secs => :seconds)
FROM unnest(:export_ids::text[], :formats::text[], :file_numbers::integer[]) AS held (export_id, format, file_number)
WHERE a.export_id = held.export_id AND a.format = held.format AND a.file_number = held.file_number
  AND a.lease_by = :worker AND a.state = 'open'
RETURNING a.export_id, a.format, a.file_number;

-- name: release_lease!
UPDATE delivery.assemblies SET lease_by = NULL, lease_until = NULL
WHERE export_id = :export_id AND format = :format AND file_number = :file_number AND lease_by = :worker;

-- name: parts_from
-- How many parts the file has where that is known, beside each that has come; no row: it is not ours any more.
SELECT a.parts_total, p.number, p.key, p.rows, p.bytes, p.sha256, p.first_key, p.last_key, p.crc32, p.note
FROM delivery.assemblies a LEFT JOIN LATERAL (
    SELECT * FROM delivery.assembly_parts p
    WHERE p.export_id = a.export_id AND p.format = a.format AND p.file_number = a.file_number AND p.number >= :next_number
    ORDER BY p.number LIMIT :parts) p ON true
WHERE a.export_id = :export_id AND a.format = :format AND a.file_number = :file_number AND a.lease_by = :worker AND a.state = 'open' ORDER BY p.number;

-- name: file_closes$
-- The last part of this file is in; whether that is so of every file by now. Under the publication's lock.
WITH closes AS (
    UPDATE delivery.assemblies SET closing = true
    WHERE export_id = :export_id AND format = :format AND file_number = :file_number AND lease_by = :worker AND state = 'open'
    RETURNING true)
SELECT EXISTS (SELECT FROM closes) AND 1 + count(*) = :files_total FROM delivery.assemblies
WHERE export_id = :export_id AND (format, file_number) <> (:format, :file_number) AND (closing OR state = 'assembled');

-- name: file_is_whole$
UPDATE delivery.assemblies SET state = 'assembled', key = :key, rows = :rows, bytes = :bytes, sha256 = :sha256, entry = :entry, lease_by = NULL, lease_until = NULL
WHERE export_id = :export_id AND format = :format AND file_number = :file_number AND lease_by = :worker AND state = 'open'
RETURNING true;

-- name: whole_files
SELECT format, file_number, name, media_type, rows, bytes, sha256, entry
FROM delivery.assemblies WHERE export_id = :export_id AND state = 'assembled';

-- name: publish!
UPDATE delivery.publications SET published_at = now(), manifest = :manifest, manifest_base = NULL WHERE export_id = :export_id;

-- name: fail_export$
-- Once: the first failure is told; all that was made is discarded. No row: it is failed, published or discarded already.
INSERT INTO delivery.publications (export_id, org_id, failed_code, discard, discard_asked_at)
VALUES (:export_id, :org_id, :code, 'files', now())
ON CONFLICT (export_id) DO UPDATE SET failed_code = excluded.failed_code, discard = 'files', discard_asked_at = now(), discarded_at = NULL
WHERE publications.discard IS NULL AND publications.published_at IS NULL
RETURNING true;

-- name: ask_discard!
-- Files imply parts, and are not taken back: once all is to go, whatever is asked for later (of a part that came late) looks for all of it again.
INSERT INTO delivery.publications (export_id, org_id, discard, discard_asked_at) VALUES (:export_id, :org_id, :discard, now())
ON CONFLICT (export_id) DO UPDATE SET discard = CASE publications.discard WHEN 'files' THEN 'files' ELSE excluded.discard END,
    discard_asked_at = now(), discarded_at = NULL;

-- name: forget_parts!
DELETE FROM delivery.assembly_parts WHERE export_id = :export_id;

-- name: forget_files!
DELETE FROM delivery.assemblies WHERE export_id = :export_id;

-- name: next_discard^
SELECT export_id, org_id, discard FROM delivery.publications
WHERE discard IS NOT NULL AND discarded_at IS NULL AND discard_asked_at <= now()
ORDER BY discard_asked_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: discarded!
UPDATE delivery.publications SET discarded_at = now(), manifest = CASE WHEN discard = 'files' THEN NULL ELSE manifest END, manifest_base = NULL
WHERE export_id = :export_id;

-- name: postpone_discard!
-- The store refused: it may take it once it has been mended.
UPDATE delivery.publications SET discard_asked_at = now() + interval '10 minutes' WHERE export_id = :export_id;

-- name: long_discarded
-- Exports about which no message can come any more.
SELECT export_id, org_id FROM delivery.publications
WHERE discard = 'files' AND discarded_at < now() - interval '9 days'
ORDER BY discarded_at LIMIT 500 FOR UPDATE SKIP LOCKED;

-- name: forget_publication!
DELETE FROM delivery.publications WHERE export_id = :export_id;

-- name: statuses
SELECT id, status FROM exports.exports WHERE id = ANY(:export_ids::text[]);

-- name: standing^
-- An export of the organisation in app.org_id, and one of its files by name.
SELECT e.status, e.deleted_at IS NOT NULL AS deleted, e.expires_at, e.hold_at IS NOT NULL AS held, p.published_at, coalesce(p.discard = 'files', false) AS discarded,
    a.key, a.media_type, a.bytes, a.sha256, e.purpose
FROM exports.exports e
LEFT JOIN delivery.publications p ON p.export_id = e.id
LEFT JOIN delivery.assemblies a ON a.export_id = e.id AND a.state = 'assembled' AND a.name = :name
WHERE e.id = :export_id;

-- name: manifest^
SELECT e.status, e.deleted_at IS NOT NULL AS deleted, e.expires_at, e.hold_at IS NOT NULL AS held, p.published_at, coalesce(p.discard = 'files', false) AS discarded, p.manifest, p.manifest_key
FROM exports.exports e LEFT JOIN delivery.publications p ON p.export_id = e.id
WHERE e.id = :export_id;

-- ---- signing keys

-- name: signing_keys
-- Newest first; what was signed with one that has retired still verifies.
SELECT id, public_key, created_at, retired_at, revoked_at FROM delivery.signing_keys ORDER BY created_at DESC, id;

-- name: current_signing_key^
SELECT id, sealed FROM delivery.signing_keys WHERE retired_at IS NULL;

-- name: lock_signing_keys#
-- One at a time makes, retires or revokes a key; reading goes on.
LOCK TABLE delivery.signing_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: retire_signing_key$
-- The private key is wiped: nothing can be signed with it any more.
UPDATE delivery.signing_keys SET retired_at = now(), sealed = NULL WHERE retired_at IS NULL RETURNING id;

-- name: add_signing_key!
INSERT INTO delivery.signing_keys (id, public_key, sealed, created_at) VALUES (:id, :public_key, :sealed, clock_timestamp());

-- name: revoke_signing_key$
UPDATE delivery.signing_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id AND retired_at IS NOT NULL RETURNING id;

-- name: try_checkpoint_lock(key)$
SELECT pg_try_advisory_xact_lock(:key);

-- name: grown_chains(count)
-- Across tenants. Where chains of the audit trail end that have grown since their last checkpoint.
SELECT c.org_id, h.seq, h.hash FROM (SELECT org_id FROM tenancy.organisations UNION ALL SELECT '@operator') c
CROSS JOIN LATERAL (SELECT seq, hash FROM tenancy.audit a WHERE a.org_id = c.org_id ORDER BY seq DESC LIMIT 1) h
WHERE NOT EXISTS (SELECT FROM delivery.audit_checkpoints k WHERE k.org_id = c.org_id AND k.seq >= h.seq) LIMIT :count;

-- name: add_checkpoints(org_ids, seqs, at, documents)!
-- Across tenants.
INSERT INTO delivery.audit_checkpoints (org_id, seq, at, document)
SELECT org_id, seq, :at, document FROM unnest(:org_ids::text[], :seqs::bigint[], :documents::text[]) AS n (org_id, seq, document);

-- name: checkpoints(org_id, before, count)
SELECT seq, at, document FROM delivery.audit_checkpoints
WHERE org_id = :org_id AND (:before::bigint IS NULL OR seq < :before) ORDER BY seq DESC LIMIT :count;
