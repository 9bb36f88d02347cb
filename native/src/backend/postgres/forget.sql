-- Forgets topics that nothing was published to for so many seconds, with their rows; says whether there may be more.
CREATE OR REPLACE FUNCTION {forget}(retention double precision, topics_max integer)
RETURNS boolean
LANGUAGE plpgsql AS $tidegate$
DECLARE
  updated_before timestamptz := clock_timestamp() - make_interval(secs => retention);
  names text[];
BEGIN
  names := ARRAY(SELECT t.channel FROM {topics} t WHERE t.updated_at < updated_before LIMIT topics_max);
  IF cardinality(names) = 0 THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock({order_lock});
  WITH gone AS (
    DELETE FROM {topics} t WHERE t.channel = ANY (names) AND t.updated_at < updated_before RETURNING t.channel)
  DELETE FROM {events} WHERE id IN (
    SELECT e.id FROM {events} e JOIN gone ON e.channel COLLATE "C" = gone.channel AND e.seq > 0
      FOR UPDATE OF e SKIP LOCKED);
  RETURN cardinality(names) = topics_max;
END
$tidegate$;
