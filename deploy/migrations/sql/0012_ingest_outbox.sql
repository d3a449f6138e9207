-- What ingest publishes, in the transaction of its effect, and what it has heard: changes of leads, their scores, and entries of the audit trail.
SET ROLE waybill_owner;

CREATE TABLE ingest.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key bytea, value bytea, headers jsonb NOT NULL,
    partition integer, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE ingest.inbox (message_id text COLLATE "C" PRIMARY KEY, claimed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX inbox_by_age ON ingest.inbox (claimed_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.outbox, ingest.inbox TO waybill_ingest;
RESET ROLE;
