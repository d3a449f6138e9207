-- Indexes that answer what exports ask of many rows, so that the rows themselves aren't read.
--
-- How long a lead or a message is, in blocks of 512 bytes that its texts fill, inside the index that exports go along: so a plan reads the index alone,
-- at a fifth of what reading the rows costs. In blocks, because an index that holds a value is written again with each new version that has another one;
-- most new versions of a text fill as many blocks as the old one did.
SET ROLE waybill_owner;
-- What array_to_string makes of texts depends on nothing else, which PostgreSQL can't know of arrays in general.
CREATE FUNCTION ingest.bytes_of(texts text[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN coalesce(octet_length(array_to_string(texts, ',')), 0);
REVOKE ALL ON FUNCTION ingest.bytes_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.bytes_of TO waybill_ingest;

ALTER TABLE ingest.messages ADD COLUMN blocks integer GENERATED ALWAYS AS (
    (coalesce(octet_length(content), 0) + coalesce(octet_length(post_url), 0) + coalesce(octet_length(message_type), 0) + coalesce(octet_length(origin), 0)
     + coalesce(octet_length(outbound_message_type), 0)) / 512) STORED;
ALTER TABLE ingest.leads ADD COLUMN blocks integer GENERATED ALWAYS AS (
    (coalesce(octet_length(email), 0) + coalesce(octet_length(name), 0) + coalesce(octet_length(phone), 0) + coalesce(octet_length(company), 0)
     + octet_length(status) + coalesce(octet_length(source_url), 0) + octet_length(custom_properties) + ingest.bytes_of(tags)) / 512) STORED;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['leads', 'messages'] LOOP
        EXECUTE format('DROP INDEX ingest.%I', t || '_by_time');
        EXECUTE format('CREATE INDEX %I ON ingest.%I (org_id, created_at, id) INCLUDE (blocks)', t || '_current_by_time', t || '_current');
        EXECUTE format('CREATE INDEX %I ON ingest.%I (org_id, created_at, id) INCLUDE (blocks)', t || '_ended_by_time', t || '_ended');
        EXECUTE format('CREATE INDEX %I ON ingest.%I (org_id, created_at, id) INCLUDE (blocks)', t || '_by_time', t);
    END LOOP;
END $$;

-- A lead's score, in the index that finds it. A new score touches an index anyway (lead_scores_current_by_score).
CREATE UNIQUE INDEX lead_scores_current_by_id_with_score ON ingest.lead_scores_current (org_id, id) INCLUDE (score);
DROP INDEX ingest.lead_scores_current_by_id;
ALTER INDEX ingest.lead_scores_current_by_id_with_score RENAME TO lead_scores_current_by_id;
RESET ROLE;
