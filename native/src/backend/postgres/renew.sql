-- Begins a new epoch of a topic that is still in the old one, with its latest publication as the first.
CREATE OR REPLACE FUNCTION {renew}(name text, old_epoch bigint, new_epoch bigint)
RETURNS boolean
LANGUAGE plpgsql AS $tidegate$
DECLARE
  copies bigint;
BEGIN
  PERFORM pg_advisory_xact_lock({order_lock});
  PERFORM 1 FROM {topics} t WHERE t.channel = name AND t.epoch = old_epoch;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO {events} (channel, data, created_at, placed_at, seq, epoch, "offset", ended, bytes)
    SELECT e.channel, e.data, e.created_at, clock_timestamp(), nextval({sequence}), new_epoch, 1, e.ended, e.bytes
      FROM {events} e WHERE e.channel COLLATE "C" = name AND e.epoch = old_epoch AND e.seq > 0
      ORDER BY e."offset" DESC LIMIT 1;
  GET DIAGNOSTICS copies = ROW_COUNT;
  UPDATE {topics} SET epoch = new_epoch, "offset" = copies, updated_at = clock_timestamp() WHERE channel = name;
  RETURN true;
END
$tidegate$;
