-- The keys that sign manifests. Only delivery reaches them; no customers' data.

SET ROLE waybill_owner;

-- `sealed` is the private key, encrypted by delivery under a secret of its settings; it is wiped when the key retires.
CREATE TABLE delivery.signing_keys (
    id text COLLATE "C" PRIMARY KEY, public_key bytea NOT NULL, sealed bytea CHECK ((sealed IS NULL) = (retired_at IS NOT NULL)),
    created_at timestamptz NOT NULL, retired_at timestamptz, revoked_at timestamptz);
CREATE UNIQUE INDEX signing_keys_current ON delivery.signing_keys ((true)) WHERE retired_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON delivery.signing_keys TO waybill_delivery;

-- The last part of a file is in: what is left is to complete it in the store.
ALTER TABLE delivery.assemblies ADD COLUMN closing boolean NOT NULL DEFAULT false;

RESET ROLE;
