-- What a part's format has to know of it to end the file; null where that is nothing, and from a formatter of before.
SET ROLE waybill_owner;
ALTER TABLE delivery.assembly_parts ADD COLUMN note bytea;
RESET ROLE;
