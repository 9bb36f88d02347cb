-- Stores a batch of publications, in order. seq and offsets are assigned under a lock that is released only when the rows are
-- visible to all. So seq is the order in which publications become visible, and none appears behind a reader's position.
-- A topic that starts anew after its end takes the next epoch; epochs go up to 2^53 - 1.
CREATE OR REPLACE FUNCTION {publish}(
  channels text[], payloads text[], sizes integer[], ends text[], keys text[], restarts boolean[], epochs bigint[])
RETURNS TABLE (at_epoch bigint, at_offset bigint, refused text)
LANGUAGE plpgsql AS $tidegate$
BEGIN
  PERFORM pg_advisory_xact_lock({order_lock});
  FOR i IN 1 .. cardinality(channels) LOOP
    refused := NULL;
    IF keys[i] IS NOT NULL THEN
      SELECT e.epoch, e."offset" INTO at_epoch, at_offset FROM {events} e
        WHERE e.channel COLLATE "C" = channels[i] AND e.key = keys[i] ORDER BY e.seq LIMIT 1;
      IF FOUND THEN
        RETURN NEXT;
        CONTINUE;
      END IF;
    END IF;
    INSERT INTO {topics} AS t (channel, epoch, "offset", ended, updated_at)
      VALUES (channels[i], epochs[i], 1, ends[i], clock_timestamp())
      ON CONFLICT (channel) DO UPDATE SET
        epoch = CASE WHEN t.ended IS NULL THEN t.epoch ELSE t.epoch % 9007199254740991 + 1 END,
        "offset" = CASE WHEN t.ended IS NULL THEN t."offset" + 1 ELSE 1 END,
        ended = excluded.ended,
        updated_at = excluded.updated_at
      WHERE t.ended IS NULL OR restarts[i]
      RETURNING t.epoch, t."offset" INTO at_epoch, at_offset;
    IF NOT FOUND THEN
      SELECT t.ended INTO refused FROM {topics} t WHERE t.channel = channels[i];
      RETURN NEXT;
      CONTINUE;
    END IF;
    INSERT INTO {events} (channel, data, created_at, placed_at, seq, epoch, "offset", ended, key, bytes)
      VALUES (channels[i], payloads[i]::{data}, clock_timestamp(), clock_timestamp(), nextval({sequence}),
        at_epoch, at_offset, ends[i], keys[i], sizes[i]);
    RETURN NEXT;
  END LOOP;
END
$tidegate$;
