-- The SFTP server: who may log in, which files lie in an organisation's folders, the server's own keys, failures counted against guessing. Only delivery
-- writes here. What must leave the release before running: nothing, all is new.
SET ROLE waybill_owner;

-- A name belongs to one organisation, whatever its case: a client says no more than the name. `password`: salt and scrypt hash. `public_keys`: in OpenSSH's
-- one-line form. `allowed_networks`: none is anywhere. `credentials_at`: sessions that were begun before it end.
CREATE TABLE delivery.sftp_users (
    id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, username text NOT NULL, password bytea NOT NULL, public_keys text[] NOT NULL,
    allowed_networks text[] NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, password_changed_at timestamptz NOT NULL,
    credentials_at timestamptz NOT NULL, last_login_at timestamptz);
CREATE UNIQUE INDEX sftp_users_by_name ON delivery.sftp_users (lower(username));
CREATE INDEX sftp_users_by_org ON delivery.sftp_users (org_id, created_at, id);

-- A file's place in the folders: no more than a name for a file that delivery has published; whether it may be seen is its export's to say.
-- It goes with its file, which goes when the export is deleted, expired or recalled.
CREATE TABLE delivery.sftp_files (
    org_id text COLLATE "C" NOT NULL, path text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
    export_id text COLLATE "C" NOT NULL, format text COLLATE "C" NOT NULL, file_number integer NOT NULL, placed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, path, name),
    FOREIGN KEY (export_id, format, file_number) REFERENCES delivery.assemblies ON DELETE CASCADE);
CREATE INDEX sftp_files_by_export ON delivery.sftp_files (export_id, format, file_number);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['sftp_users', 'sftp_files'] LOOP
        EXECUTE format('ALTER TABLE delivery.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON delivery.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY dispatcher ON delivery.%I TO waybill_dispatcher USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.%I TO waybill_delivery, waybill_dispatcher', t);
    END LOOP;
END $$;

-- The keys by which clients know the server; no customers' data. `id` is the fingerprint, `sealed` the private key, encrypted by delivery. Of each kind the newest
-- with `used_from` in the past is used; those with `used_from` in the future are announced to clients that have logged in.
CREATE TABLE delivery.sftp_host_keys (
    id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, public_key text NOT NULL, sealed bytea NOT NULL, created_at timestamptz NOT NULL, used_from timestamptz NOT NULL);

-- Failures by a hash of name and source, or of the source alone: of names that nobody has, too.
CREATE TABLE delivery.sftp_failures (
    key bytea PRIMARY KEY, failures integer NOT NULL, first_at timestamptz NOT NULL, locked_until timestamptz);
CREATE INDEX sftp_failures_by_age ON delivery.sftp_failures (first_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.sftp_host_keys, delivery.sftp_failures TO waybill_delivery;
RESET ROLE;
