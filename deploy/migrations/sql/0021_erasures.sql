-- Erasures can be asked for by their id; whose they were is nowhere said. What belongs to a person is found by indexes.
SET ROLE waybill_owner;
ALTER TABLE ingest.erasures ADD COLUMN id text COLLATE "C", ADD COLUMN kind text;
CREATE UNIQUE INDEX erasures_by_id ON ingest.erasures (org_id, id) WHERE id IS NOT NULL;
CREATE INDEX conversations_by_contact ON ingest.conversations (org_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX contacts_by_lead ON ingest.contacts (org_id, lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX visits_by_visitor ON ingest.visits (org_id, visitor_id);
RESET ROLE;
