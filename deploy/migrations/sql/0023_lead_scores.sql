-- From what is written of a lead to its score: which leads were touched, how new the facts are that were published of each, and what came back.

-- Publishing changes and keeping scores goes across organisations: ingest takes this role for one transaction. It reads what scores follow from, and
-- writes nothing else than what it says here.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_scorer') THEN CREATE ROLE waybill_scorer NOLOGIN; END IF;
END $$;
GRANT waybill_scorer TO waybill_ingest WITH INHERIT FALSE, SET TRUE;

SET ROLE waybill_owner;

-- Notes, added by whoever writes records and gone once the facts are published: some hundred ids a row, of leads or of conversations, whose lead
-- is looked up later (a message may come before its conversation).
CREATE TABLE ingest.lead_touches (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org_id text COLLATE "C" NOT NULL,
    through text NOT NULL CHECK (through IN ('lead', 'conversation')), ids text[] COLLATE "C" NOT NULL, touched_at timestamptz NOT NULL DEFAULT now())
    WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX lead_touches_by_org ON ingest.lead_touches (org_id, seq);

-- How new the facts are that were last published of a lead that is there, and by which model; `first_version`: scores of before are another life's.
CREATE SEQUENCE ingest.facts_versions;
CREATE TABLE ingest.lead_facts (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, first_version bigint NOT NULL, facts_version bigint NOT NULL,
    model_version bigint NOT NULL, PRIMARY KEY (org_id, id)) WITH (fillfactor = 50);
-- Leads that were there before are found as scored by no model yet. Forced row-level security would hide them from their owner.
ALTER TABLE ingest.leads_current NO FORCE ROW LEVEL SECURITY;
INSERT INTO ingest.lead_facts
SELECT org_id, id, version, version, 0 FROM (SELECT org_id, id, nextval('ingest.facts_versions') AS version FROM ingest.leads_current) l;
ALTER TABLE ingest.leads_current FORCE ROW LEVEL SECURITY;
CREATE INDEX lead_facts_by_model ON ingest.lead_facts (org_id, model_version, id);

-- The model by which all leads of an organisation have been published.
CREATE TABLE ingest.rescorings (org_id text COLLATE "C" PRIMARY KEY, model_version bigint NOT NULL);

-- A score's `version` is the facts_version that it follows from. A row becomes another version where the score is another; reasons, which no export
-- shows, change in place.
ALTER TABLE ingest.lead_scores ADD COLUMN scored_at timestamptz;
CREATE INDEX lead_scores_current_by_model ON ingest.lead_scores_current (org_id, model_version);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['lead_touches', 'lead_facts', 'rescorings'] LOOP
        EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON ingest.%I USING (org_id = current_setting(''app.org_id'', true))', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.%I TO waybill_ingest', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['lead_touches', 'lead_facts', 'rescorings', 'lead_scores_current', 'lead_scores_ended'] LOOP
        EXECUTE format('CREATE POLICY scorer ON ingest.%I TO waybill_scorer USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.%I TO waybill_scorer', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['leads_current', 'conversations_current', 'messages_current', 'events_current'] LOOP
        EXECUTE format('CREATE POLICY scorer ON ingest.%I FOR SELECT TO waybill_scorer USING (true)', t);
        EXECUTE format('GRANT SELECT ON ingest.%I TO waybill_scorer', t);
    END LOOP;
END $$;
CREATE POLICY scorer ON tenancy.organisations FOR SELECT TO waybill_scorer USING (true);
GRANT SELECT (org_id, scoring, model_version) ON tenancy.organisations TO waybill_ingest, waybill_scorer;
GRANT USAGE ON SCHEMA ingest, tenancy TO waybill_scorer;
GRANT USAGE ON SEQUENCE ingest.facts_versions TO waybill_scorer;
GRANT SELECT, INSERT ON ingest.outbox TO waybill_scorer;
RESET ROLE;
