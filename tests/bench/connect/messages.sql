-- The table that the sink writes: the same columns as a message has, and no index but its key.
CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.sink;
CREATE TABLE bench.sink (
    id text COLLATE "C" PRIMARY KEY, version bigint, org_id text, conversation_id text, created_at timestamptz, sender_kind text, sender_id text,
    content text, message_type text, origin text);
