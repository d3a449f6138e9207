-- The cursor API: how many requests an API key has made of an endpoint within its window.

SET ROLE waybill_owner;

-- When the requests of the window were let through, oldest first. After a crash of the server it is empty: one window's limit is forgotten.
CREATE UNLOGGED TABLE tenancy.request_times (
    key_id text COLLATE "C", endpoint text COLLATE "C", times timestamptz[] NOT NULL DEFAULT '{}', PRIMARY KEY (key_id, endpoint)) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy.request_times TO waybill_export_request;

-- Exact for any number of processes: the row's lock puts requests in one order, and the clock is the server's. In no window of so many seconds,
-- wherever it begins, are there more than `quota` requests let through; what is refused doesn't count.
CREATE FUNCTION tenancy.take_request(key text, asked text, quota integer, seconds double precision,
    OUT allowed boolean, OUT remaining integer, OUT reset_seconds double precision) LANGUAGE plpgsql AS $$
DECLARE held timestamptz[]; instant timestamptz;
BEGIN
    SELECT times INTO held FROM tenancy.request_times WHERE key_id = key AND endpoint = asked FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO tenancy.request_times (key_id, endpoint) VALUES (key, asked) ON CONFLICT DO NOTHING;
        SELECT times INTO held FROM tenancy.request_times WHERE key_id = key AND endpoint = asked FOR UPDATE;
    END IF;
    instant := clock_timestamp();
    -- Times ahead of the clock, which was set back, are forgotten.
    held := ARRAY(SELECT t FROM unnest(held) t WHERE t > instant - make_interval(secs => seconds) AND t <= instant ORDER BY t);
    allowed := cardinality(held) < quota;
    IF allowed THEN
        held := held || instant;
        UPDATE tenancy.request_times SET times = held WHERE key_id = key AND endpoint = asked;
    END IF;
    remaining := quota - cardinality(held);
    reset_seconds := extract(epoch FROM held[1] + make_interval(secs => seconds) - instant);
END $$;
REVOKE ALL ON FUNCTION tenancy.take_request FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.take_request TO waybill_export_request;
RESET ROLE;
