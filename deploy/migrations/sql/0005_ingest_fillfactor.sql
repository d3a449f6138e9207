-- A new version takes its row's place, and what it replaces is added as an ended row. With room left in every page the replacing needs
-- no new index entries (a heap-only update), which halves the cost of an update.
SET ROLE waybill_owner;
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'ingest' LOOP
        EXECUTE format('ALTER TABLE ingest.%I SET (fillfactor = 90)', t);
    END LOOP;
END $$;
RESET ROLE;
