-- Exports that saw what an erasure took away are found across organisations, by whoever sweeps. An erasure says nothing of a person.
SET ROLE waybill_owner;
CREATE INDEX erasures_by_time ON ingest.erasures (org_id, erased_in);
GRANT USAGE ON SCHEMA ingest TO waybill_dispatcher;
GRANT SELECT ON ingest.erasures TO waybill_dispatcher;
CREATE POLICY dispatcher ON ingest.erasures FOR SELECT TO waybill_dispatcher USING (true);
RESET ROLE;
