-- What an organisation may use: requests a second, exports at once, rows a day. A limit that is null is the operator's default (the services' settings); 0: none.
SET ROLE waybill_owner;
ALTER TABLE tenancy.organisations
    ADD COLUMN requests_per_second integer CHECK (requests_per_second >= 0), ADD COLUMN exports_at_once integer CHECK (exports_at_once >= 0),
    ADD COLUMN rows_a_day bigint CHECK (rows_a_day >= 0);
ALTER TABLE tenancy.api_keys ADD COLUMN last_used_at timestamptz;
CREATE INDEX exports_running_by_org ON exports.exports (org_id) WHERE status IN ('accepted', 'planning', 'formatting', 'assembling', 'publishing');

-- A bucket of requests for each organisation: it holds one second's worth, and fills up evenly. Unlogged: nothing is flushed for a request, and after a crash
-- of the server every bucket is full.
CREATE UNLOGGED TABLE tenancy.request_buckets (
    org_id text COLLATE "C" PRIMARY KEY, left_over double precision NOT NULL, at timestamptz NOT NULL) WITH (fillfactor = 50);
-- Rows that were planned, day by day (UTC).
CREATE TABLE tenancy.usage (org_id text COLLATE "C" NOT NULL, day date NOT NULL, rows bigint NOT NULL, PRIMARY KEY (org_id, day));

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['request_buckets', 'usage'] LOOP
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON tenancy.%I FOR SELECT USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('CREATE POLICY counting ON tenancy.%I TO waybill_owner USING (true)', t);
        EXECUTE format('GRANT SELECT ON tenancy.%I TO waybill_export_request', t);
    END LOOP;
END $$;
CREATE POLICY key_lookup ON tenancy.organisations FOR SELECT TO waybill_owner USING (true);
CREATE POLICY key_use ON tenancy.api_keys FOR UPDATE TO waybill_owner USING (true);

-- As before, and what the organisation may ask for a second.
DROP FUNCTION tenancy.find_key(text);
CREATE FUNCTION tenancy.find_key(key_id text) RETURNS TABLE (org_id text, hash bytea, scopes text[], requests_per_second integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT k.org_id, k.hash, k.scopes, o.requests_per_second FROM tenancy.api_keys k JOIN tenancy.organisations o ON o.org_id = k.org_id
          WHERE k.id = key_id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) $$;

-- At most one write a minute for a key, whoever asks.
CREATE FUNCTION tenancy.use_key(key_id text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
    AS $$ UPDATE tenancy.api_keys SET last_used_at = now() WHERE id = key_id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute') $$;

-- One request out of the bucket. Exact for any number of processes: the row's lock puts requests in one order, and the clock is the server's.
CREATE FUNCTION tenancy.take_from_bucket(org text, rate integer, OUT allowed boolean, OUT remaining integer, OUT reset_seconds double precision)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE held double precision; since timestamptz; instant timestamptz;
BEGIN
    SELECT b.left_over, b.at INTO held, since FROM tenancy.request_buckets b WHERE b.org_id = org FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO tenancy.request_buckets VALUES (org, rate, clock_timestamp()) ON CONFLICT DO NOTHING;
        SELECT b.left_over, b.at INTO held, since FROM tenancy.request_buckets b WHERE b.org_id = org FOR UPDATE;
    END IF;
    instant := clock_timestamp();
    held := least(rate, held + greatest(0, extract(epoch FROM instant - since)) * rate);
    allowed := held >= 1;
    IF allowed THEN
        held := held - 1;
        UPDATE tenancy.request_buckets b SET left_over = held, at = instant WHERE b.org_id = org;
    END IF;
    remaining := floor(held);
    reset_seconds := CASE WHEN held >= 1 THEN 0 ELSE (1 - held) / rate END;
END $$;

-- Count rows of today, where they still fit; `most` is the operator's default. False: nothing was counted.
CREATE FUNCTION tenancy.count_rows(org text, more bigint, most bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE today date := (now() AT TIME ZONE 'UTC')::date; allowed bigint;
BEGIN
    SELECT nullif(coalesce(o.rows_a_day, most), 0) INTO allowed FROM tenancy.organisations o WHERE o.org_id = org;
    INSERT INTO tenancy.usage VALUES (org, today, 0) ON CONFLICT DO NOTHING;
    UPDATE tenancy.usage u SET rows = u.rows + more WHERE u.org_id = org AND u.day = today AND (allowed IS NULL OR u.rows + more <= allowed);
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION tenancy.find_key, tenancy.use_key, tenancy.take_from_bucket, tenancy.count_rows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.find_key, tenancy.use_key, tenancy.take_from_bucket TO waybill_ingest, waybill_export_request, waybill_delivery;
GRANT EXECUTE ON FUNCTION tenancy.count_rows TO waybill_export_request, waybill_dispatcher;
RESET ROLE;
