-- What the datasets of the customer-care family find rows by: events by time (those of the kinds that exports look for), first resolves in the order
-- of their dataset, locks by their end. An index of the parent takes those of the partitions in that are like it.
SET ROLE waybill_owner;
DO $$
DECLARE p text;
BEGIN
    FOREACH p IN ARRAY ARRAY['current', 'ended'] LOOP
        EXECUTE format($i$CREATE INDEX events_%1$s_by_time ON ingest.events_%1$s (org_id, at, id)
            WHERE kind IN ('handover', 'topic_applied', 'tag_applied', 'status_changed')$i$, p);
        EXECUTE format($i$CREATE INDEX events_%1$s_of_resolves ON ingest.events_%1$s (org_id, at, conversation_id)
            WHERE kind = 'status_changed' AND to_status = 'resolved'$i$, p);
        EXECUTE format('CREATE INDEX locks_%1$s_by_end ON ingest.locks_%1$s (org_id, "to") WHERE "to" IS NOT NULL', p);
    END LOOP;
END $$;
CREATE INDEX events_by_time ON ingest.events (org_id, at, id) WHERE kind IN ('handover', 'topic_applied', 'tag_applied', 'status_changed');
CREATE INDEX events_of_resolves ON ingest.events (org_id, at, conversation_id) WHERE kind = 'status_changed' AND to_status = 'resolved';
CREATE INDEX locks_by_end ON ingest.locks (org_id, "to") WHERE "to" IS NOT NULL;
RESET ROLE;
