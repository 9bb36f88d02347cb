-- A topic's position and what it keeps after a position, or its latest alone; nothing where it isn't remembered.
-- All that it keeps after offset 0 of epoch 0.
-- KEYS: meta, log, sizes
-- ARGV: epoch and offset of the position, both empty where there is none
local known = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
local kept = redis.call('XLEN', KEYS[2])
if not known[1] or kept == 0 or kept ~= redis.call('LLEN', KEYS[3]) then
  return {}
end
local epoch, offset = known[1], known[2]
if ARGV[1] == '0' and ARGV[2] == '0' then
  return {epoch, offset, redis.call('XRANGE', KEYS[2], '-', '+')}
end
if ARGV[1] == epoch then
  local top, since = tonumber(offset), tonumber(ARGV[2])
  if since == top then
    return {epoch, offset, {}}
  end
  if since < top and since >= top - kept then
    return {epoch, offset, redis.call('XRANGE', KEYS[2], string.format('%.0f-0', since + 1), '+')}
  end
end
return {epoch, offset, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)}
