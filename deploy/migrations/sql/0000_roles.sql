-- One role owns every table and never logs in; each service logs in as a role that owns nothing.
-- Passwords are the operator's: `waybill migrate` sets them from WAYBILL_<SERVICE>_DATABASE_PASSWORD.
DO $$
DECLARE r text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_owner') THEN CREATE ROLE waybill_owner NOLOGIN; END IF;
    FOREACH r IN ARRAY ARRAY['ingest', 'lead_scoring', 'export_request', 'formatter', 'delivery'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_' || r) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS', 'waybill_' || r);
        END IF;
    END LOOP;
END $$;
GRANT waybill_owner TO CURRENT_USER;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO waybill_owner', current_database()); END $$;
