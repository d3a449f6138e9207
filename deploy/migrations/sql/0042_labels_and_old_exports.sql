-- Exports are found by a label along an index, newest first (jsonb's own operators aren't leakproof, so under row security no index serves them); and rows of
-- exports that ended long ago are found by when.
SET ROLE waybill_owner;
CREATE TABLE exports.labels (
    org_id text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL, created_at timestamptz NOT NULL,
    export_id text COLLATE "C" NOT NULL REFERENCES exports.exports ON DELETE CASCADE, PRIMARY KEY (org_id, name, value, created_at, export_id));
CREATE INDEX labels_by_export ON exports.labels (export_id);
-- Forced row-level security would hide the exports from their owner.
ALTER TABLE exports.exports NO FORCE ROW LEVEL SECURITY;
INSERT INTO exports.labels SELECT e.org_id, l.key, l.value, e.created_at, e.id FROM exports.exports e CROSS JOIN LATERAL jsonb_each_text(e.labels) l;
ALTER TABLE exports.exports FORCE ROW LEVEL SECURITY;
ALTER TABLE exports.labels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON exports.labels USING (org_id = current_setting('app.org_id', true));
CREATE POLICY dispatcher ON exports.labels TO waybill_dispatcher USING (true);
GRANT SELECT, INSERT, DELETE ON exports.labels TO waybill_export_request, waybill_dispatcher;

-- By a trigger, so that whoever writes is noted; a label never changes.
CREATE FUNCTION exports.note_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO exports.labels SELECT NEW.org_id, l.key, l.value, NEW.created_at, NEW.id FROM jsonb_each_text(NEW.labels) l;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION exports.note_labels FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exports.note_labels TO waybill_export_request, waybill_dispatcher;
CREATE TRIGGER labels AFTER INSERT ON exports.exports FOR EACH ROW WHEN (NEW.labels <> '{}') EXECUTE FUNCTION exports.note_labels();

DROP INDEX exports.exports_to_forget;
CREATE INDEX exports_to_forget ON exports.exports ((coalesce(deleted_at, progressed_at)))
    WHERE status IN ('failed', 'cancelled', 'expired') OR deleted_at IS NOT NULL;
RESET ROLE;
