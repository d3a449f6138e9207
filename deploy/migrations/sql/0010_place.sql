-- A row's place in the order of its dataset: planning asks for the greatest one of a chunk (max over rows needs PostgreSQL 18).
SET ROLE waybill_owner;
CREATE TYPE ingest.place AS (at timestamptz, id text COLLATE "C");
RESET ROLE;
