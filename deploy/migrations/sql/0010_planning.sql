-- What planning reads by. A row's place in the order of its dataset (the greatest one of a chunk: max over rows needs PostgreSQL 18), and the versions
-- that ended after an instant.
SET ROLE waybill_owner;
CREATE TYPE ingest.place AS (at timestamptz, id text COLLATE "C");

DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'ended'
             WHERE c.relnamespace = 'ingest'::regnamespace AND c.relkind = 'p' LOOP
        EXECUTE format('CREATE INDEX %I ON ingest.%I (org_id, ended)', t || '_ended_since', t || '_ended');
    END LOOP;
END $$;
RESET ROLE;
