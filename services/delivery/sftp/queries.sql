-- Every query of the SFTP server. Under row-level security unless it says "across tenants": those run as waybill_dispatcher.

-- name: add_user(id, org_id, username, password, public_keys, allowed_networks, now)^
-- No row: the name is taken.
INSERT INTO delivery.sftp_users (id, org_id, username, password, public_keys, allowed_networks, created_at, updated_at, password_changed_at, credentials_at)
VALUES (:id, :org_id, :username, :password, :public_keys, :allowed_networks, :now, :now, :now, :now)
ON CONFLICT (lower(username)) DO NOTHING RETURNING *;

-- name: count_users(org_id)$
SELECT count(*) FROM delivery.sftp_users WHERE org_id = :org_id;

-- name: users(org_id, after_at, after_id, count)
SELECT * FROM delivery.sftp_users
WHERE org_id = :org_id AND (:after_at::timestamptz IS NULL OR (created_at, id) > (:after_at, :after_id::text)) ORDER BY created_at, id LIMIT :count;

-- name: user(id)^
SELECT * FROM delivery.sftp_users WHERE id = :id;

-- name: lock_user(id)^
SELECT * FROM delivery.sftp_users WHERE id = :id FOR NO KEY UPDATE;

-- name: save_user(id, public_keys, allowed_networks, now)^
UPDATE delivery.sftp_users SET public_keys = :public_keys, allowed_networks = :allowed_networks, updated_at = :now, credentials_at = :now
WHERE id = :id RETURNING *;

-- name: reset_password(id, password, now)^
UPDATE delivery.sftp_users SET password = :password, password_changed_at = :now, updated_at = :now, credentials_at = :now WHERE id = :id RETURNING *;

-- name: delete_user(id)^
DELETE FROM delivery.sftp_users WHERE id = :id RETURNING id, username;

-- ---- logging in

-- name: user_by_name(username)^
-- Across tenants: the name is all that a client says.
SELECT * FROM delivery.sftp_users WHERE lower(username) = lower(:username);

-- name: logged_in(id, now)!
UPDATE delivery.sftp_users SET last_login_at = :now WHERE id = :id;

-- name: credentials(ids)
-- Across tenants: what ends sessions.
SELECT id, credentials_at FROM delivery.sftp_users WHERE id = ANY(:ids::text[]);

-- name: locked_until(keys, now)$
SELECT max(locked_until) FROM delivery.sftp_failures WHERE key = ANY(:keys::bytea[]) AND locked_until > :now;

-- name: count_failure(key, failures_max, seconds, now)$
-- Until when nothing is tried any more, where this failure was one too many. What is older than `seconds` doesn't count.
INSERT INTO delivery.sftp_failures AS f (key, failures, first_at, locked_until)
VALUES (:key, 1, :now, CASE WHEN :failures_max::integer <= 1 THEN :now::timestamptz + make_interval(secs => :seconds) END)
ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN f.first_at <= :now::timestamptz - make_interval(secs => :seconds) THEN 1 ELSE f.failures + 1 END,
    first_at = CASE WHEN f.first_at <= :now::timestamptz - make_interval(secs => :seconds) THEN :now ELSE f.first_at END,
    locked_until = CASE WHEN f.first_at > :now::timestamptz - make_interval(secs => :seconds) AND f.failures + 1 >= :failures_max::integer
                        THEN :now::timestamptz + make_interval(secs => :seconds) END
RETURNING locked_until;

-- name: forget_failures(key)!
DELETE FROM delivery.sftp_failures WHERE key = :key;

-- name: prune_failures(before)!
DELETE FROM delivery.sftp_failures WHERE first_at < :before AND (locked_until IS NULL OR locked_until < :before);

-- ---- files

-- name: files(path, after, count)
-- By name. A file is there as long as a download of it would be served (core/access.py says the same).
SELECT f.name, a.bytes, p.published_at FROM delivery.sftp_files f
JOIN delivery.assemblies a USING (export_id, format, file_number) JOIN delivery.publications p USING (export_id) JOIN exports.exports e ON e.id = f.export_id
WHERE f.path = :path AND f.name > :after AND a.state = 'assembled' AND p.published_at IS NOT NULL AND p.discard IS DISTINCT FROM 'files'
  AND e.status = 'completed' AND e.deleted_at IS NULL AND (e.expires_at > now() OR e.hold_at IS NOT NULL)
ORDER BY f.name LIMIT :count;

-- name: file(path, name)^
SELECT f.name, f.export_id, a.name AS file, a.key, a.bytes, a.sha256, p.published_at, e.purpose FROM delivery.sftp_files f
JOIN delivery.assemblies a USING (export_id, format, file_number) JOIN delivery.publications p USING (export_id) JOIN exports.exports e ON e.id = f.export_id
WHERE f.path = :path AND f.name = :name AND a.state = 'assembled' AND p.published_at IS NOT NULL AND p.discard IS DISTINCT FROM 'files'
  AND e.status = 'completed' AND e.deleted_at IS NULL AND (e.expires_at > now() OR e.hold_at IS NOT NULL);

-- name: place(org_id, path, name, export_id, format, file_number)!
-- Again is no error, and a name that is taken stays whose it is: names hold the export's id.
INSERT INTO delivery.sftp_files (org_id, path, name, export_id, format, file_number) VALUES (:org_id, :path, :name, :export_id, :format, :file_number)
ON CONFLICT (org_id, path, name) DO NOTHING;

-- ---- host keys

-- name: host_keys()
-- Newest first.
SELECT * FROM delivery.sftp_host_keys ORDER BY used_from DESC, id;

-- name: lock_host_keys()#
LOCK TABLE delivery.sftp_host_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: add_host_key(id, kind, public_key, sealed, now, used_from)!
INSERT INTO delivery.sftp_host_keys (id, kind, public_key, sealed, created_at, used_from) VALUES (:id, :kind, :public_key, :sealed, :now, :used_from);

-- name: seal_host_key(id, sealed)!
UPDATE delivery.sftp_host_keys SET sealed = :sealed WHERE id = :id;

-- name: forget_host_keys(ids)!
DELETE FROM delivery.sftp_host_keys WHERE id = ANY(:ids::text[]);
