-- Each table of the data becomes two partitions: <table>_current holds the version of each id that is current (ended is null), <table>_ended those
-- that were replaced or deleted. Readers go on asking for the table; writers name the partition. What that gives: a current row is found and kept
-- single by (org_id, id) alone, which INSERT … ON CONFLICT can use; replaced versions come to lie in the order in which they were replaced, with
-- indexes of their own; and a page of current rows keeps half of its room for their next versions, so that replacing one touches no index
-- (a heap-only update), also where all rows of a page are replaced in one transaction.
SET ROLE waybill_owner;

DO $$
DECLARE
    t text; p text; c text;
    -- None of the ended ones changes again.
    lazily text := 'autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1';
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'ended'
             WHERE c.relnamespace = 'ingest'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
        EXECUTE format('ALTER TABLE ingest.%I RENAME TO %I', t, t || '_before');
        EXECUTE format('CREATE TABLE ingest.%I (LIKE ingest.%I INCLUDING DEFAULTS) PARTITION BY LIST (ended)', t, t || '_before');
        EXECUTE format('CREATE TABLE ingest.%I PARTITION OF ingest.%I FOR VALUES IN (NULL) WITH (fillfactor = 50)', t || '_current', t);
        EXECUTE format('CREATE TABLE ingest.%I PARTITION OF ingest.%I DEFAULT WITH (%s)', t || '_ended', t, lazily);
        EXECUTE format('ALTER TABLE ingest.%I ALTER ended SET NOT NULL', t || '_ended');
        -- Forced row-level security would hide the rows from their owner too, so they move before it is on.
        EXECUTE format('ALTER TABLE ingest.%I DISABLE ROW LEVEL SECURITY', t || '_before');
        EXECUTE format('INSERT INTO ingest.%I SELECT * FROM ingest.%I', t, t || '_before');
        EXECUTE format('DROP TABLE ingest.%I', t || '_before');
        FOREACH p IN ARRAY ARRAY[t, t || '_current', t || '_ended'] LOOP
            EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p);
            EXECUTE format('CREATE POLICY tenant ON ingest.%I USING (org_id = current_setting(''app.org_id'', true))', p);
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.%I TO waybill_ingest', p);
            EXECUTE format('GRANT SELECT ON ingest.%I TO waybill_formatter, waybill_export_request', p);
        END LOOP;
        -- Hardly a plan hangs on statistics here (readers look up by index, whatever they say), and while records stream in, taking them again and
        -- again from 30,000 rows cost a fifth of the writing: 6,000 rows will do.
        FOR p, c IN SELECT r.relname, a.attname FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
                 WHERE r.oid IN (format('ingest.%I', t || '_current')::regclass, format('ingest.%I', t || '_ended')::regclass) AND a.attnum > 0 LOOP
            EXECUTE format('ALTER TABLE ingest.%I ALTER %I SET STATISTICS 20', p, c);
        END LOOP;
        EXECUTE format('CREATE UNIQUE INDEX %I ON ingest.%I (org_id, id)', t || '_current_by_id', t || '_current');
        EXECUTE format('CREATE INDEX %I ON ingest.%I (org_id, id)', t || '_ended_by_id', t || '_ended');
    END LOOP;
END $$;

-- The indexes that exports read by, on both partitions.
CREATE INDEX leads_by_time ON ingest.leads (org_id, created_at, id);
CREATE INDEX conversations_by_time ON ingest.conversations (org_id, created_at, id);
CREATE INDEX conversations_by_lead ON ingest.conversations (org_id, lead_id, created_at, id) WHERE lead_id IS NOT NULL;
CREATE INDEX messages_by_time ON ingest.messages (org_id, created_at, id);
CREATE INDEX messages_by_conversation ON ingest.messages (org_id, conversation_id, created_at, id);
CREATE INDEX events_by_conversation ON ingest.events (org_id, conversation_id, at, id);
CREATE INDEX events_of_tags ON ingest.events (org_id, conversation_id, at, id) WHERE tag_id IS NOT NULL;
CREATE INDEX locks_by_conversation ON ingest.locks (org_id, conversation_id);
CREATE INDEX presences_by_time ON ingest.presences (org_id, "from", id);
CREATE INDEX visits_by_time ON ingest.visits (org_id, at, id);

-- messages_by_time is messages_current_by_time and messages_ended_by_time, and so on, instead of the names that PostgreSQL makes up.
DO $$
DECLARE made text; named text;
BEGIN
    FOR made, named IN
        SELECT part.relname, replace(whole.relname, parent.relname || '_', part_of.relname || '_')
        FROM pg_inherits i JOIN pg_class part ON part.oid = i.inhrelid JOIN pg_class whole ON whole.oid = i.inhparent
        JOIN pg_index p ON p.indexrelid = part.oid JOIN pg_class part_of ON part_of.oid = p.indrelid
        JOIN pg_index w ON w.indexrelid = whole.oid JOIN pg_class parent ON parent.oid = w.indrelid
        WHERE part.relnamespace = 'ingest'::regnamespace
    LOOP
        EXECUTE format('ALTER INDEX ingest.%I RENAME TO %I', made, named);
    END LOOP;
END $$;

-- How far each partition of a topic has been written: the offset that comes next. It moves in the transaction that writes the records, so what a
-- consumer reads again, or a stale one still holds, is told from what is new. A topic that is made anew has another id, and starts from nothing.
CREATE TABLE ingest.positions (topic_id uuid, partition integer, next_offset bigint NOT NULL, PRIMARY KEY (topic_id, partition)) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.positions TO waybill_ingest;
RESET ROLE;
