-- The data: one versioned table for each record type. `added` and `ended` are transaction ids; a change ends one version
-- and adds the next, so a stored pg_snapshot reads the same rows for ever (docs/architecture.md, "One instant").
-- Free objects are canonical JSON (RFC 8785) in text columns, 'null' where not given (jsonb would reorder keys and
-- reprint numbers). A list that isn't given is null, which JSON tells from an empty one.

CREATE SCHEMA ingest AUTHORIZATION waybill_owner;
SET ROLE waybill_owner;

CREATE TABLE ingest.leads (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    email text NOT NULL, name text, company text, title text, phone text, status text NOT NULL, source text NOT NULL,
    source_url text, tags text[], assigned_to text COLLATE "C", custom_properties text NOT NULL, last_intent text,
    first_seen_at timestamptz, last_activity_at timestamptz, created_at timestamptz NOT NULL, updated_at timestamptz);
CREATE INDEX leads_by_time ON ingest.leads (org_id, created_at, id);

-- What lead_scoring says of a lead; versioned like the rest, because the leads dataset shows it.
CREATE TABLE ingest.lead_scores (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    score smallint NOT NULL, reasons text NOT NULL, model_version bigint NOT NULL);

CREATE TABLE ingest.contacts (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    medium text, primary_identifier text, secondary_identifier text, name text, email text, mobile_number text,
    member_id text, lead_id text COLLATE "C", profile text NOT NULL, attributes text NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz);

CREATE TABLE ingest.channels (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    medium text NOT NULL, name text NOT NULL, display_name text);

CREATE TABLE ingest.agents (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    name text NOT NULL, email text, reference text, team_id text COLLATE "C", channel_id text COLLATE "C", account_id text,
    username text, mobile_number text, role text, removed boolean NOT NULL, created_at timestamptz,
    default_group_watch text, default_direct_chat_watch text, default_user_chat_watch text,
    operator boolean, operator_email_reminder boolean);

CREATE TABLE ingest.teams (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8, name text NOT NULL);

CREATE TABLE ingest.bots (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    name text NOT NULL, kind text NOT NULL, channel_id text COLLATE "C", created_at timestamptz);

CREATE TABLE ingest.topics (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8, name text NOT NULL);

CREATE TABLE ingest.tags (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    name text NOT NULL, description text, channel_id text COLLATE "C", follower_ids text[], created_at timestamptz);

CREATE TABLE ingest.campaigns (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8, type text NOT NULL, name text, created_at timestamptz);

CREATE TABLE ingest.conversations (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    channel_id text COLLATE "C", contact_id text COLLATE "C", lead_id text COLLATE "C", visitor_id text COLLATE "C",
    description text, status text NOT NULL, language text, url text,
    created_at timestamptz NOT NULL, ended_at timestamptz, updated_at timestamptz,
    assignee_id text COLLATE "C", follower_ids text[], campaign_id text COLLATE "C",
    support_bot_id text COLLATE "C", support_bot_revision_id text COLLATE "C", support_bot_section_path text COLLATE "C",
    qualification_triggered boolean, meeting_booked boolean, engagement_score double precision,
    csat_score smallint, csat_completed_status text, csat_question text, csat_answer text,
    metadata text NOT NULL, parameters text NOT NULL);
CREATE INDEX conversations_by_time ON ingest.conversations (org_id, created_at, id);
CREATE INDEX conversations_by_lead ON ingest.conversations (org_id, lead_id, created_at, id) WHERE lead_id IS NOT NULL;

CREATE TABLE ingest.messages (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    conversation_id text COLLATE "C" NOT NULL, created_at timestamptz NOT NULL,
    sender_kind text, sender_id text COLLATE "C", sender_name text, content text, message_type text, origin text,
    outbound_message_type text, post_url text, updated_at timestamptz, deleted_at timestamptz);
CREATE INDEX messages_by_time ON ingest.messages (org_id, created_at, id);
CREATE INDEX messages_by_conversation ON ingest.messages (org_id, conversation_id, created_at, id);

-- `data` is all of the event's data; the columns after it repeat what exports look for.
CREATE TABLE ingest.events (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    conversation_id text COLLATE "C" NOT NULL, at timestamptz NOT NULL, kind text NOT NULL,
    actor_kind text, actor_id text COLLATE "C", team_id text COLLATE "C", data text NOT NULL,
    topic_id text COLLATE "C", tag_id text COLLATE "C", message_id text COLLATE "C", to_status text);
CREATE INDEX events_by_conversation ON ingest.events (org_id, conversation_id, at, id);
CREATE INDEX events_of_tags ON ingest.events (org_id, conversation_id, at, id) WHERE tag_id IS NOT NULL;

CREATE TABLE ingest.locks (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    conversation_id text COLLATE "C" NOT NULL, agent_id text COLLATE "C" NOT NULL, team_id text COLLATE "C",
    "from" timestamptz NOT NULL, "to" timestamptz);
CREATE INDEX locks_by_conversation ON ingest.locks (org_id, conversation_id);

CREATE TABLE ingest.presences (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    agent_id text COLLATE "C" NOT NULL, type text NOT NULL, away_state text, "from" timestamptz NOT NULL, "to" timestamptz);
CREATE INDEX presences_by_time ON ingest.presences (org_id, "from", id);

CREATE TABLE ingest.visits (
    org_id text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint,
    added xid8 NOT NULL DEFAULT pg_current_xact_id(), ended xid8,
    visitor_id text COLLATE "C" NOT NULL, at timestamptz NOT NULL, url text);
CREATE INDEX visits_by_time ON ingest.visits (org_id, at, id);

-- What is known of an id that has no current row: the highest version seen, and whether the person was erased.
CREATE TABLE ingest.tombstones (
    org_id text COLLATE "C" NOT NULL, type text NOT NULL, id text COLLATE "C" NOT NULL,
    version bigint, erased boolean NOT NULL DEFAULT false, PRIMARY KEY (org_id, type, id));

-- For every table: one current version an id (an index that also finds ended versions by id), tenants kept apart by row-level security.
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'ingest' LOOP
        IF t <> 'tombstones' THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON ingest.%I (org_id, id, ended) NULLS NOT DISTINCT', t || '_by_id', t);
        END IF;
        EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON ingest.%I USING (org_id = current_setting(''app.org_id'', true))', t);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA ingest TO waybill_ingest, waybill_formatter, waybill_export_request;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ingest TO waybill_ingest;
GRANT SELECT ON ALL TABLES IN SCHEMA ingest TO waybill_formatter, waybill_export_request;
REVOKE ALL ON ingest.tombstones FROM waybill_formatter, waybill_export_request;
RESET ROLE;
