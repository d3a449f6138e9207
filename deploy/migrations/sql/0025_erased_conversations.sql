-- Conversations of people who were erased: what comes of them later is emptied as well. Those of before are found by whom they name; a table's owner
-- sees its rows only where row-level security isn't forced.
SET ROLE waybill_owner;
CREATE TABLE ingest.erased_conversations (org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, PRIMARY KEY (org_id, id));
ALTER TABLE ingest.conversations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ingest.tombstones NO FORCE ROW LEVEL SECURITY;
INSERT INTO ingest.erased_conversations
SELECT DISTINCT c.org_id, c.id FROM ingest.tombstones t JOIN ingest.conversations c
    ON c.org_id = t.org_id AND ((t.type = 'lead' AND c.lead_id = t.id) OR (t.type = 'contact' AND c.contact_id = t.id)) WHERE t.erased;
ALTER TABLE ingest.tombstones FORCE ROW LEVEL SECURITY;
ALTER TABLE ingest.conversations FORCE ROW LEVEL SECURITY;

ALTER TABLE ingest.erased_conversations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ingest.erased_conversations USING (org_id = current_setting('app.org_id', true));
GRANT SELECT, INSERT ON ingest.erased_conversations TO waybill_ingest;
RESET ROLE;
