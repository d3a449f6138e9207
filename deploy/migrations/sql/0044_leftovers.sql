-- What is half there at destinations that were deleted, and how to get there: delivery takes it away, for a week at most.
SET ROLE waybill_owner;
-- `notes` (JSON): of each delivery, name of the file → what was noted of it.
CREATE TABLE delivery.leftovers (
    destination_id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, type text NOT NULL, config text NOT NULL, sealed bytea, notes text NOT NULL,
    created_at timestamptz NOT NULL, tried_at timestamptz);
ALTER TABLE delivery.leftovers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON delivery.leftovers USING (org_id = current_setting('app.org_id', true));
CREATE POLICY courier ON delivery.leftovers TO waybill_courier USING (true);
GRANT INSERT ON delivery.leftovers TO waybill_delivery;
GRANT SELECT, UPDATE, DELETE ON delivery.leftovers TO waybill_courier;
RESET ROLE;
