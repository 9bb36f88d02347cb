-- Assigns rows that others have inserted their place, unless another server has done so already. Refused rows get seq -1.
-- A row that an application holds locked is skipped, so that nobody waits for the application.
-- A row can't request a restart, so a row for a topic that has ended starts it anew.
CREATE OR REPLACE FUNCTION {take_in}(
  ids bigint[], sizes integer[], ends text[], are_valid boolean[], epochs bigint[])
RETURNS TABLE (taken integer)
LANGUAGE plpgsql AS $tidegate$
DECLARE
  name text;
  at_epoch bigint;
  at_offset bigint;
BEGIN
  PERFORM pg_advisory_xact_lock({order_lock});
  FOR i IN 1 .. cardinality(ids) LOOP
    SELECT e.channel INTO name FROM {events} e WHERE e.id = ids[i] AND e.seq IS NULL FOR NO KEY UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    IF are_valid[i] THEN
      INSERT INTO {topics} AS t (channel, epoch, "offset", ended, updated_at)
        VALUES (name, epochs[i], 1, ends[i], clock_timestamp())
        ON CONFLICT (channel) DO UPDATE SET
          epoch = CASE WHEN t.ended IS NULL THEN t.epoch ELSE t.epoch % 9007199254740991 + 1 END,
          "offset" = CASE WHEN t.ended IS NULL THEN t."offset" + 1 ELSE 1 END,
          ended = excluded.ended,
          updated_at = excluded.updated_at
        RETURNING t.epoch, t."offset" INTO at_epoch, at_offset;
      UPDATE {events} SET placed_at = clock_timestamp(), seq = nextval({sequence}), epoch = at_epoch,
        "offset" = at_offset, ended = ends[i], bytes = sizes[i] WHERE id = ids[i];
    ELSE
      UPDATE {events} SET placed_at = clock_timestamp(), seq = -1 WHERE id = ids[i];
    END IF;
    taken := i;
    RETURN NEXT;
  END LOOP;
END
$tidegate$;
