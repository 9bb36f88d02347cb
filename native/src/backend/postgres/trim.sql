-- Deletes publications that exceed the limits, and returns whether there may be more. A topic's limits are those of the first pattern
-- that matches it. There are two passes: over the topics of publications that may be deleted, starting with the first publication that
-- could not be in the last round; and over publications that are too old for any topic, in their order. A topic's latest publication
-- always stays. One with an idempotency key stays for keys_age, so that its repetition is recognised, and every one stays for
-- young_age, because a server may not have read it yet. Later readers learn from trimmed_seq up to where there are gaps.
CREATE OR REPLACE FUNCTION {trim}(
  patterns text[], counts bigint[], sizes bigint[], ages double precision[], keys_age double precision,
  young_age double precision, rows_max integer)
RETURNS boolean
LANGUAGE plpgsql AS $tidegate$
DECLARE
  upkeep {upkeep}%ROWTYPE;
  aged_before timestamptz := clock_timestamp() - make_interval(secs => (SELECT max(a.age) FROM unnest(ages) AS a (age)));
  keyed_before timestamptz := clock_timestamp() - make_interval(secs => keys_age);
  young_from timestamptz := clock_timestamp() - make_interval(secs => young_age);
  names text[];
  old_ids bigint[];
  seen bigint;
  deleted bigint;
  last_deleted bigint;
  upto bigint;
  is_more boolean := false;
BEGIN
  IF NOT pg_try_advisory_xact_lock({upkeep_lock}) THEN
    RETURN false;
  END IF;
  SELECT * INTO STRICT upkeep FROM {upkeep};

  SELECT array_agg(DISTINCT p.channel) FILTER (WHERE p.may_go), max(p.seq) FILTER (WHERE p.may_all_go),
    count(*) FILTER (WHERE p.may_all_go) INTO names, upto, seen FROM (
      SELECT w.channel, w.seq, w.may_go, bool_and(w.may_go) OVER (ORDER BY w.seq) AS may_all_go FROM (
        -- Rows from the future count as old: a clock that was once ahead must not block trimming.
        SELECT e.channel, e.seq, e.placed_at > clock_timestamp()
            OR (e.placed_at < young_from AND (e.key IS NULL OR e.placed_at < keyed_before)) AS may_go
          FROM {events} e WHERE e.seq > upkeep.looked_at_seq AND e.seq <> 0 ORDER BY e.seq LIMIT 2 * rows_max) w) p;
  IF names IS NOT NULL THEN
    WITH gone AS (DELETE FROM {events} WHERE id IN (
      SELECT e.id FROM {events} e JOIN (
        SELECT t.channel, t.epoch, greatest(t."offset" - greatest(l.count_max, 1), (
          SELECT max(w."offset") FROM (
            SELECT r."offset", r.placed_at, sum(r.bytes) OVER (ORDER BY r."offset" DESC) AS total FROM {events} r
              WHERE r.channel COLLATE "C" = t.channel AND r.epoch = t.epoch AND r.seq > 0
                AND r."offset" > t."offset" - l.count_max) w
            WHERE (w.total > l.bytes_max OR w.placed_at < clock_timestamp() - make_interval(secs => l.age_max))
              AND w."offset" < t."offset")) AS cut
          FROM {topics} t CROSS JOIN LATERAL (
            SELECT u.count_max, u.bytes_max, u.age_max
              FROM unnest(patterns, counts, sizes, ages) WITH ORDINALITY AS u (pattern, count_max, bytes_max, age_max, number)
              WHERE t.channel ~ u.pattern ORDER BY u.number LIMIT 1) l
          WHERE t.channel = ANY (names)) c
        ON e.channel COLLATE "C" = c.channel AND e.seq > 0 AND (e.epoch <> c.epoch OR e."offset" <= c.cut)
        WHERE e.placed_at < young_from AND (e.key IS NULL OR e.placed_at < keyed_before)
        LIMIT rows_max FOR UPDATE OF e SKIP LOCKED) RETURNING seq)
      SELECT count(*), max(g.seq) INTO deleted, last_deleted FROM gone g;
    UPDATE {upkeep} SET trimmed_seq = greatest(trimmed_seq, last_deleted),
      looked_at_seq = CASE WHEN deleted < rows_max THEN coalesce(upto, looked_at_seq) ELSE looked_at_seq END;
    is_more := deleted = rows_max OR seen = 2 * rows_max;
  END IF;

  SELECT array_agg(p.id), max(p.seq), count(*) INTO old_ids, upto, seen FROM (
    SELECT e.id, e.seq, e.placed_at FROM {events} e WHERE e.seq > upkeep.aged_seq AND e.seq <> 0
      ORDER BY e.seq LIMIT rows_max) p WHERE p.placed_at < least(aged_before, keyed_before, young_from);
  IF seen > 0 THEN
    DELETE FROM {events} WHERE id IN (
      SELECT e.id FROM {events} e WHERE e.id = ANY (old_ids) AND NOT EXISTS (
        SELECT 1 FROM {topics} t WHERE t.channel = e.channel COLLATE "C" AND t.epoch = e.epoch AND t."offset" = e."offset")
        FOR UPDATE SKIP LOCKED);
    UPDATE {upkeep} SET aged_seq = upto, trimmed_seq = greatest(trimmed_seq, upto);
    is_more := is_more OR seen = rows_max;
  END IF;

  DELETE FROM {events} WHERE id IN (
    SELECT e.id FROM {events} e WHERE e.seq = -1 AND e.placed_at < aged_before LIMIT rows_max FOR UPDATE SKIP LOCKED);
  RETURN is_more;
END
$tidegate$;
