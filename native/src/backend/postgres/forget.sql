-- Forgets topics that nothing was published to for so many seconds, with their rows; says whether there may be more. Of the times,
-- that of the first pattern counts that matches a topic.
CREATE OR REPLACE FUNCTION {forget}(patterns text[], retentions double precision[], topics_max integer)
RETURNS boolean
LANGUAGE plpgsql AS $tidegate$
DECLARE
  updated_before timestamptz := clock_timestamp()
    - make_interval(secs => (SELECT min(r.retention) FROM unnest(retentions) AS r (retention)));
  names text[];
  last_deleted bigint;
BEGIN
  names := ARRAY(SELECT t.channel FROM {topics} t CROSS JOIN LATERAL (
      SELECT u.retention FROM unnest(patterns, retentions) WITH ORDINALITY AS u (pattern, retention, number)
        WHERE t.channel ~ u.pattern ORDER BY u.number LIMIT 1) l
    WHERE t.updated_at < updated_before AND t.updated_at < clock_timestamp() - make_interval(secs => l.retention)
    LIMIT topics_max);
  IF cardinality(names) = 0 THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock({order_lock});
  WITH gone AS (
    DELETE FROM {topics} t WHERE t.channel = ANY (names) AND t.updated_at < updated_before RETURNING t.channel),
  deleted AS (
    DELETE FROM {events} WHERE id IN (
      SELECT e.id FROM {events} e JOIN gone ON e.channel COLLATE "C" = gone.channel AND e.seq > 0
        FOR UPDATE OF e SKIP LOCKED)
      RETURNING seq)
  SELECT max(d.seq) INTO last_deleted FROM deleted d;
  UPDATE {upkeep} SET trimmed_seq = greatest(trimmed_seq, last_deleted) WHERE last_deleted > trimmed_seq;
  RETURN cardinality(names) = topics_max;
END
$tidegate$;
