-- Lists of exports by status, dataset and schedule, newest first, among a million past ones.
SET ROLE waybill_owner;
CREATE INDEX exports_by_state ON exports.exports (org_id, dataset, status, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX exports_by_schedule ON exports.exports (org_id, schedule_id, created_at DESC, id DESC) WHERE schedule_id IS NOT NULL AND deleted_at IS NULL;
RESET ROLE;
