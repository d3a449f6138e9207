-- What deltas are found by. Changed and deleted versions are found among the ended ones by when they ended; that an id is new is noted here, some
-- dozen ids a row: an index on `added` would make every update of a row touch all of its indexes. By triggers, so that whoever writes is noted.
SET ROLE waybill_owner;
CREATE TABLE ingest.arrivals (
    org_id text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, added xid8 NOT NULL DEFAULT pg_current_xact_id(), ids text[] COLLATE "C" NOT NULL)
    WITH (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1);
CREATE INDEX arrivals_since ON ingest.arrivals (org_id, type, added);
-- From which transaction on arrivals are noted; of instants from before it nobody knows what is new.
CREATE TABLE ingest.arrivals_noted (since xid8 NOT NULL DEFAULT pg_current_xact_id());
INSERT INTO ingest.arrivals_noted DEFAULT VALUES;
-- What pruning (once there is one) took away: versions that ended before `before`. An instant that could see one of them can't be seen any more.
CREATE TABLE ingest.prunings (org_id text COLLATE "C" PRIMARY KEY, before xid8 NOT NULL);

CREATE FUNCTION ingest.note_arrivals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ingest.arrivals (org_id, type, ids)
    SELECT org_id, TG_ARGV[0], array_agg(id) FROM (
        SELECT a.org_id, a.id, row_number() OVER (PARTITION BY a.org_id) / 40 AS part FROM arrived a WHERE a.ended IS NULL) a
    GROUP BY org_id, part;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ingest.note_arrivals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.note_arrivals TO waybill_ingest, waybill_scorer;

DO $$
DECLARE t text; p text;
BEGIN
    FOREACH t IN ARRAY ARRAY['leads', 'lead_scores', 'contacts', 'conversations', 'messages', 'events', 'locks', 'presences'] LOOP
        FOREACH p IN ARRAY ARRAY[t, t || '_current'] LOOP
            EXECUTE format('CREATE TRIGGER arrivals AFTER INSERT ON ingest.%I REFERENCING NEW TABLE AS arrived
                FOR EACH STATEMENT EXECUTE FUNCTION ingest.note_arrivals(%L)', p, t);
        END LOOP;
        -- When a version ended (its transaction began): what a delta says of a row that is gone.
        EXECUTE format('ALTER TABLE ingest.%I ADD COLUMN replaced_at timestamptz', t);
        EXECUTE format('ALTER TABLE ingest.%I ALTER replaced_at SET DEFAULT now()', t || '_ended');
    END LOOP;
    FOREACH t IN ARRAY ARRAY['arrivals', 'prunings'] LOOP
        EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON ingest.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('GRANT SELECT ON ingest.%I TO waybill_export_request, waybill_formatter', t);
    END LOOP;
END $$;
CREATE POLICY scorer ON ingest.arrivals TO waybill_scorer USING (true);
GRANT SELECT, INSERT, DELETE ON ingest.arrivals TO waybill_ingest;
GRANT INSERT ON ingest.arrivals TO waybill_scorer;
GRANT SELECT ON ingest.arrivals_noted TO waybill_export_request, waybill_formatter;

-- Instants that must stay to be seen: pruning takes no version away that one of these sees. Running exports and what a delta among them is measured
-- from; ended ones that can be measured from, run again and compared, until their files expire. Cursors name no row: what ended within the last day
-- is theirs (DECISIONS.md, 53).
ALTER TABLE exports.exports ADD COLUMN since text COLLATE "C", ADD COLUMN since_snapshot text;
CREATE VIEW exports.kept_snapshots WITH (security_invoker = true) AS
    SELECT org_id, id AS export_id, snapshot, CASE WHEN completed_at IS NULL THEN 'running' ELSE 'base' END AS reason
    FROM exports.exports WHERE deleted_at IS NULL AND status IN ('accepted', 'planning', 'formatting', 'assembling', 'publishing', 'completed')
    UNION ALL
    SELECT org_id, id, since_snapshot, 'delta' FROM exports.exports
    WHERE since_snapshot IS NOT NULL AND deleted_at IS NULL AND status IN ('accepted', 'planning', 'formatting', 'assembling', 'publishing', 'completed');
GRANT SELECT ON exports.kept_snapshots TO waybill_export_request, waybill_dispatcher;
RESET ROLE;
