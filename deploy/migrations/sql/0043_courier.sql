-- Destinations and deliveries, the destinations' secrets with them, are delivery's alone, also across organisations: export_request may be waybill_dispatcher too.
-- No release knows these tables as waybill_dispatcher's.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_courier') THEN CREATE ROLE waybill_courier NOLOGIN; END IF;
END $$;
GRANT waybill_courier TO waybill_delivery WITH INHERIT FALSE, SET TRUE;

SET ROLE waybill_owner;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['destinations', 'deliveries', 'delivery_files', 'delivery_attempts'] LOOP
        EXECUTE format('DROP POLICY dispatcher ON delivery.%I', t);
        EXECUTE format('REVOKE ALL ON delivery.%I FROM waybill_dispatcher', t);
        EXECUTE format('CREATE POLICY courier ON delivery.%I TO waybill_courier USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.%I TO waybill_courier', t);
    END LOOP;
END $$;
-- How exports stand whose files are to be brought.
GRANT USAGE ON SCHEMA exports, delivery TO waybill_courier;
CREATE POLICY courier ON exports.exports FOR SELECT TO waybill_courier USING (true);
GRANT SELECT (id, org_id, status, deleted_at, expires_at, hold_at) ON exports.exports TO waybill_courier;
CREATE POLICY courier ON delivery.publications FOR SELECT TO waybill_courier USING (true);
GRANT SELECT (export_id, published_at, discard) ON delivery.publications TO waybill_courier;
RESET ROLE;
