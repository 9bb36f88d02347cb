-- Forgets topics to which nothing was published for their retention, with their rows, and returns whether there may be more. A topic's
-- retention, in seconds, is that of the first pattern that matches it. If the topics have more rows than may be deleted at once, each
-- one's oldest go first, and the topics stay until the rest has gone.
CREATE OR REPLACE FUNCTION {forget}(
  patterns text[], retentions double precision[], topics_max integer, rows_max integer)
RETURNS boolean
LANGUAGE plpgsql AS $tidegate$
DECLARE
  updated_before timestamptz := clock_timestamp()
    - make_interval(secs => (SELECT min(r.retention) FROM unnest(retentions) AS r (retention)));
  names text[];
  is_more boolean;
  deleted bigint;
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
  is_more := cardinality(names) = topics_max;
  PERFORM pg_advisory_xact_lock({order_lock});
  -- Leave out topics to which something was published while this waited for the lock.
  names := ARRAY(SELECT t.channel FROM {topics} t WHERE t.channel = ANY (names) AND t.updated_at < updated_before);
  WITH gone AS (DELETE FROM {events} WHERE id IN (
    SELECT old.id FROM unnest(names) AS n (channel) CROSS JOIN LATERAL (
        SELECT e.id FROM {events} e WHERE e.channel COLLATE "C" = n.channel AND e.seq > 0
          ORDER BY e.epoch, e."offset" LIMIT rows_max FOR UPDATE SKIP LOCKED) old
      LIMIT rows_max) RETURNING seq)
    SELECT count(*), max(g.seq) INTO deleted, last_deleted FROM gone g;
  UPDATE {upkeep} SET trimmed_seq = greatest(trimmed_seq, last_deleted) WHERE last_deleted > trimmed_seq;
  IF deleted = rows_max THEN
    RETURN true;
  END IF;
  DELETE FROM {topics} t WHERE t.channel = ANY (names);
  RETURN is_more;
END
$tidegate$;
