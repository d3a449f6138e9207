-- Exports above a number of rows wait until somebody else than who asked approves them. `approval_above` is the threshold as it was when the export was
-- accepted; `decided_by` is the key that said yes or no. The threshold is new releases' alone: an old one would let such an export go.
SET ROLE waybill_owner;
ALTER TABLE tenancy.organisations ADD COLUMN approval_rows_threshold bigint CHECK (approval_rows_threshold >= 0);
ALTER TABLE exports.exports
    ADD COLUMN approval_above bigint, ADD COLUMN awaiting_since timestamptz, ADD COLUMN decided_by text, ADD COLUMN decided_at timestamptz,
    DROP CONSTRAINT exports_status_check,
    ADD CONSTRAINT exports_status_check CHECK (status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing', 'completed',
        'failed', 'cancelled', 'expired')) NOT VALID;
CREATE INDEX exports_awaiting ON exports.exports (awaiting_since) WHERE status = 'awaiting_approval';
DROP INDEX exports.exports_running, exports.exports_running_by_org;
CREATE INDEX exports_running ON exports.exports (created_at, id)
    WHERE status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing');
CREATE INDEX exports_running_by_org ON exports.exports (org_id)
    WHERE status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing');
RESET ROLE;
