-- Returns a topic's position and what it keeps after a given position, or only its latest publication; nothing if it isn't remembered.
-- After offset 0 of epoch 0 comes all that it keeps. Publications that are too old count as deleted, trimmed or not, except the latest.
-- KEYS: meta, log, sizes
-- ARGV: epoch and offset of the position, both empty if there is none; age_max (ms)
local known = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
local kept = redis.call('XLEN', KEYS[2])
if not known[1] or kept == 0 or kept ~= redis.call('LLEN', KEYS[3]) then
  return {}
end
local epoch, offset = known[1], known[2]
local top, since = tonumber(offset), tonumber(ARGV[2])
local is_all = ARGV[1] == '0' and ARGV[2] == '0'
if not is_all then
  if ARGV[1] ~= epoch or since > top or since < top - kept then
    return {epoch, offset, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)}
  end
  if since == top then
    return {epoch, offset, {}}
  end
end

-- A binary search, in order of time, for the first publication that is not too old.
local time = redis.call('TIME')
local young_from = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[3])
local first, latest = 0, kept - 1
while first < latest do
  local middle = math.floor((first + latest) / 2)
  local at = string.match(redis.call('LINDEX', KEYS[3], middle), '%d+ (%d+)')
  if tonumber(at) < young_from then
    first = middle + 1
  else
    latest = middle
  end
end
first = top - kept + 1 + first
if not is_all then
  -- If the next publication is gone, only the latest is returned: those in between are of no use without it.
  first = since + 1 < first and top or since + 1
end
return {epoch, offset, redis.call('XRANGE', KEYS[2], string.format('%.0f-0', first), '+')}
