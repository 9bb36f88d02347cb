-- Claims, stores and forgets cursors of durable subscriptions, in the order of the calls.
CREATE OR REPLACE FUNCTION {keep_cursors}(
  kinds text[], owners text[], names text[], patterns text[], terms bigint[], texts text[],
  age_max double precision, per_user_max bigint, total_max bigint)
RETURNS TABLE (answer text, at_term bigint, at_positions text, forgotten bigint)
LANGUAGE plpgsql AS $tidegate$
DECLARE
  used_since timestamptz := clock_timestamp() - make_interval(secs => age_max);
  is_full boolean;
  count_of_old bigint;
BEGIN
  PERFORM pg_advisory_xact_lock({cursors_lock});
  FOR i IN 1 .. coalesce(array_length(kinds, 1), 0) LOOP
    answer := 'done';
    at_term := NULL;
    at_positions := NULL;
    forgotten := 0;
    IF kinds[i] = 'remove' THEN
      DELETE FROM {cursors} c WHERE c.owner = owners[i] AND c.name = names[i] AND c.pattern = patterns[i];
    ELSIF kinds[i] = 'store' THEN
      UPDATE {cursors} c SET positions = texts[i], used_at = clock_timestamp()
        WHERE c.owner = owners[i] AND c.name = names[i] AND c.pattern = patterns[i] AND c.term = terms[i];
    ELSE
      answer := 'claimed';
      UPDATE {cursors} c SET term = c.term + 1, used_at = clock_timestamp()
        WHERE c.owner = owners[i] AND c.name = names[i] AND c.pattern = patterns[i] AND c.used_at >= used_since
        RETURNING c.term, c.positions INTO at_term, at_positions;
      IF at_term IS NULL THEN
        DELETE FROM {cursors} c WHERE c.owner = owners[i] AND c.name = names[i] AND c.pattern = patterns[i];
        GET DIAGNOSTICS forgotten = ROW_COUNT;
        FOR attempt IN 1 .. 2 LOOP
          is_full := (SELECT count(*) >= total_max FROM {cursors})
            OR (owners[i] <> '' AND (SELECT count(*) >= per_user_max FROM {cursors} c WHERE c.owner = owners[i]));
          EXIT WHEN NOT is_full;
          DELETE FROM {cursors} c WHERE c.used_at < used_since;
          GET DIAGNOSTICS count_of_old = ROW_COUNT;
          forgotten := forgotten + count_of_old;
        END LOOP;
        IF is_full THEN
          answer := 'full';
        ELSE
          at_term := terms[i];
          at_positions := texts[i];
          INSERT INTO {cursors} (owner, name, pattern, term, positions, used_at)
            VALUES (owners[i], names[i], patterns[i], at_term, at_positions, clock_timestamp());
        END IF;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$tidegate$;
