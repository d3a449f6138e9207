-- Runs of schedules that ask for what changed since the run before (`"since": "previous"`): the export that a run was measured from, or why it is whole.
SET ROLE waybill_owner;
ALTER TABLE exports.schedule_runs ADD COLUMN since text COLLATE "C", ADD COLUMN whole_code text, ADD COLUMN whole_message text;
RESET ROLE;
