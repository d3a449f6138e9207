-- A part's CRC-32, by which delivery knows it again; null from a formatter of before.
SET ROLE waybill_owner;
ALTER TABLE delivery.assembly_parts ADD COLUMN crc32 bigint;
RESET ROLE;
