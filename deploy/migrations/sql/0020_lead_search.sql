-- Leads found by words: of name (weight A), e-mail (B), company (C) and the values of custom fields (D); the status, which no word looks like (it has a capital S). Each word carries a mark of its organisation,
-- so that one organisation's words lie side by side in the index and nobody's search walks through another's.
SET ROLE waybill_owner;

-- A text as words in small letters without accents, one blank between them. Long texts are cut: nobody looks for their end.
CREATE FUNCTION ingest.plain(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT btrim(regexp_replace(lower(CASE WHEN octet_length(left(t, 2000)) = length(left(t, 2000)) THEN left(t, 2000)
                  ELSE regexp_replace(normalize(left(t, 2000), NFKD), '[\u0300-\u036f]', '', 'g') END COLLATE "pg_c_utf8"), '[^[:alnum:]]+', ' ', 'g')) $$;
CREATE FUNCTION ingest.word_mark(org_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'z' || substr(md5(org_id), 1, 8) $$;
CREATE FUNCTION ingest.marked(mark text, plain text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN plain <> '' THEN to_tsvector('pg_catalog.simple', mark || replace(plain, ' ', ' ' || mark)) ELSE ''::tsvector END $$;
CREATE FUNCTION ingest.lead_words(org_id text, name text, email text, company text, custom_properties text, status text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT setweight(ingest.marked(m, ingest.plain(coalesce(name, ''))), 'A') || setweight(ingest.marked(m, ingest.plain(email)), 'B')
              || setweight(ingest.marked(m, ingest.plain(coalesce(company, ''))), 'C')
              || CASE WHEN custom_properties IN ('null', '{}') THEN ''::tsvector ELSE setweight(ingest.marked(m, ingest.plain(
                     (SELECT coalesce(string_agg(left(v, 200), ' '), '') FROM json_each_text(custom_properties::json) p (k, v)))), 'D') END
              || array_to_tsvector(ARRAY[m || 'S' || status])
          FROM ingest.word_mark(org_id) m $$;

ALTER TABLE ingest.lead_lookup ADD COLUMN words tsvector NOT NULL DEFAULT '';
ALTER TABLE ingest.leads_current NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ingest.lead_lookup NO FORCE ROW LEVEL SECURITY;
UPDATE ingest.lead_lookup k SET words = ingest.lead_words(l.org_id, l.name, l.email, l.company, l.custom_properties, l.status), print = 0
FROM ingest.leads_current l WHERE l.org_id = k.org_id AND l.id = k.id;
ALTER TABLE ingest.leads_current FORCE ROW LEVEL SECURITY;
ALTER TABLE ingest.lead_lookup FORCE ROW LEVEL SECURITY;
-- What was written since the last merge is read by every search: not much of it.
CREATE INDEX lead_lookup_by_words ON ingest.lead_lookup USING gin (words) WITH (gin_pending_list_limit = 512);

-- Operators of full text aren't leakproof, so under row security no index serves them: this function, and nothing else, looks past it, and takes the
-- organisation from the setting that the policies take it from. In `wanted` and `exact` a % stands for the organisation's mark. (The blank end keeps
-- the planner from walking through all that the organisation has.)
CREATE POLICY search ON ingest.lead_lookup FOR SELECT TO waybill_owner USING (true);
CREATE FUNCTION ingest.find_leads(wanted text, exact text, most integer) RETURNS TABLE (id text, rank real)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET jit = off
    AS $$ SELECT k.id, (CASE WHEN k.words @@ x.exact THEN 1 ELSE 0 END + ts_rank('{0.1, 0.7, 0.5, 1}', k.words, x.exact))::real
          FROM (SELECT replace(exact, '%', ingest.word_mark(current_setting('app.org_id', true)))::tsquery AS exact) x,
               LATERAL (SELECT h.id, h.words FROM ingest.lead_lookup h
                        WHERE h.words @@ replace(wanted, '%', ingest.word_mark(current_setting('app.org_id', true)))::tsquery
                          AND h.org_id || '' = current_setting('app.org_id', true) LIMIT most) k $$;

-- Those of the words that a lead of the organisation has.
CREATE FUNCTION ingest.known_words(words text[]) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off
    AS $$ SELECT f FROM unnest(words) f WHERE EXISTS
              (SELECT FROM ingest.lead_lookup h WHERE h.words @@ (quote_literal(ingest.word_mark(current_setting('app.org_id', true)) || f))::tsquery
               AND h.org_id || '' = current_setting('app.org_id', true)) $$;
REVOKE ALL ON FUNCTION ingest.find_leads, ingest.known_words FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.find_leads, ingest.known_words TO waybill_ingest;
RESET ROLE;
