-- Goes through up to topics_max topics after the given one, and deletes publications that are too old for their topic, though not for
-- every topic, each topic's oldest first. Returns the topic to continue after, which is the given one if there may be more to delete, or
-- NULL at the end. A topic's latest publication stays, and so do those that {trim} would keep for a while.
CREATE OR REPLACE FUNCTION {age}(
  after text, patterns text[], ages double precision[], keys_age double precision, young_age double precision,
  topics_max integer, rows_max integer)
RETURNS text
LANGUAGE plpgsql AS $tidegate$
DECLARE
  updated_from timestamptz := clock_timestamp() - make_interval(secs => (SELECT max(a.age) FROM unnest(ages) AS a (age)));
  stays_from timestamptz := clock_timestamp() - make_interval(secs => greatest(keys_age, young_age));
  names text[];
  deleted bigint;
  last_deleted bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock({upkeep_lock}) THEN
    RETURN NULL;
  END IF;
  names := ARRAY(SELECT t.channel FROM {topics} t WHERE t.channel > after AND t.updated_at >= updated_from
    ORDER BY t.channel LIMIT topics_max);
  WITH gone AS (DELETE FROM {events} WHERE id IN (
    SELECT old.id FROM {topics} t CROSS JOIN LATERAL (
        SELECT clock_timestamp() - make_interval(secs => u.age) AS aged_before
          FROM unnest(patterns, ages) WITH ORDINALITY AS u (pattern, age, number)
          WHERE t.channel ~ u.pattern ORDER BY u.number LIMIT 1) l
      CROSS JOIN LATERAL (
        SELECT o.placed_at FROM {events} o
          WHERE o.channel COLLATE "C" = t.channel AND o.epoch = t.epoch AND o.seq > 0
          ORDER BY o."offset" LIMIT 1) oldest
      CROSS JOIN LATERAL (
        SELECT e.id FROM {events} e
          WHERE e.channel COLLATE "C" = t.channel AND e.epoch = t.epoch AND e.seq > 0 AND e."offset" < t."offset"
            AND oldest.placed_at < l.aged_before AND e.placed_at < least(l.aged_before, stays_from)
          ORDER BY e."offset" LIMIT rows_max FOR UPDATE SKIP LOCKED) old
      WHERE t.channel = ANY (names) LIMIT rows_max) RETURNING seq)
    SELECT count(*), max(g.seq) INTO deleted, last_deleted FROM gone g;
  UPDATE {upkeep} SET trimmed_seq = last_deleted WHERE last_deleted > trimmed_seq;
  RETURN CASE WHEN deleted = rows_max THEN after WHEN cardinality(names) = topics_max THEN names[topics_max] END;
END
$tidegate$;
