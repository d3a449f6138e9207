-- How an organisation's leads are scored. `scoring` is the setting's JSON, null for the default model; every change of it raises `model_version`.
SET ROLE waybill_owner;
ALTER TABLE tenancy.organisations ADD COLUMN scoring text, ADD COLUMN model_version bigint NOT NULL DEFAULT 1;
RESET ROLE;
