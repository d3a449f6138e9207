-- Far pages of leads by their last change are counted off in the index alone: PostgreSQL knows that it can where what the expression is made of is there too.
SET ROLE waybill_owner;
DROP INDEX ingest.leads_current_by_change;
CREATE INDEX leads_current_by_change ON ingest.leads_current (org_id, coalesce(updated_at, created_at), id) INCLUDE (updated_at, created_at);
RESET ROLE;
