-- An erasure lists where files of the exports that it recalled were brought: they are with who received them.
SET ROLE waybill_owner;
GRANT USAGE ON SCHEMA delivery TO waybill_ingest;
GRANT SELECT (id, org_id, export_id, destination_id, type, status) ON delivery.deliveries TO waybill_ingest;
GRANT SELECT (delivery_id, org_id, sent_at) ON delivery.delivery_files TO waybill_ingest;
RESET ROLE;
