-- The rest of an organisation's settings. JSON is text: shown as it was taken. What shapes bytes is copied into the plan when an export is accepted.
SET ROLE waybill_owner;
ALTER TABLE tenancy.organisations
    ADD COLUMN branding text NOT NULL DEFAULT '{"colours":{},"logo":null}', ADD COLUMN redaction_profiles text NOT NULL DEFAULT '[]',
    ADD COLUMN require_purpose boolean NOT NULL DEFAULT false, ADD COLUMN alert_channels text NOT NULL DEFAULT '[]',
    ADD COLUMN qualification_threshold integer NOT NULL DEFAULT 70, ADD COLUMN operating_hours text;
RESET ROLE;
