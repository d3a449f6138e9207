-- What was redacted in an export's chunks so far, by counter; null: a chunk came from a formatter that doesn't count.
SET ROLE waybill_owner;
ALTER TABLE exports.exports ADD COLUMN redacted jsonb DEFAULT '{}';
RESET ROLE;
