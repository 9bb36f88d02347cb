-- Assigns a publication its offset, stores it, and announces it: all or nothing.
-- KEYS: meta, log, sizes, ids, index; when taking a raw message in, the lease as well
-- ARGV: topic, channel, PUBLISH or SPUBLISH, payload, end, '=' and idempotency key or nothing, restart, new epoch,
--       count_max, bytes_max, age_max (ms), retention (ms), keys_max; when taking in, token, taken channel, mark, scope;
--       the longest retention of any topic (ms)
local meta, log, sizes, ids, index, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local topic, channel, announce, payload, reason, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- A server that has lost the lease without noticing must not take in what its successor takes in.
if lease and redis.call('GET', lease) ~= ARGV[14] then
  return {'fenced'}
end
local function answer(status, value)
  if lease then
    redis.call(announce, ARGV[15], 'T ' .. ARGV[14] .. ' ' .. ARGV[16] .. ' ' .. ARGV[17])
  end
  return {status, value}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', meta, 'epoch', 'offset', 'end', 'bytes')
local kept = redis.call('XLEN', log)
local epoch, new_epoch = known[1], ARGV[8]
-- If one key of a topic was evicted, the others are of no use: they are deleted, and the topic starts anew.
if (epoch or kept > 0) and (not epoch or kept == 0 or kept ~= redis.call('LLEN', sizes)) then
  redis.call('DEL', meta, log, sizes, ids)
  epoch = false
end
if epoch and id ~= '' then
  local position = redis.call('HGET', ids, 'id' .. id)
  if position then
    return answer('ok', position)
  end
end
if epoch and known[3] ~= '' then
  if ARGV[7] ~= '1' then
    return answer('ended', known[3])
  end
  redis.call('DEL', meta, log, sizes)
  -- A topic that starts anew after its end takes the next epoch; epochs go up to 2^53 - 1.
  new_epoch = string.format('%.0f', epoch % 9007199254740991 + 1)
  epoch = false
end

local top, bytes = 0, 0
if epoch then
  top, bytes = tonumber(known[2]), tonumber(known[4])
else
  epoch, kept = new_epoch, 0
end
top = top + 1
local offset = string.format('%.0f', top)
redis.call('XADD', log, offset .. '-0', 'd', payload, 'e', reason)
redis.call('RPUSH', sizes, #payload .. ' ' .. string.format('%.0f', now))
bytes, kept = bytes + #payload, kept + 1

local count_max, bytes_max, age_max = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local trimmed = false
while kept > 1 do
  local size, at = string.match(redis.call('LINDEX', sizes, 0), '(%d+) (%d+)')
  if kept <= count_max and bytes <= bytes_max and now - at <= age_max then
    break
  end
  redis.call('LPOP', sizes)
  bytes, kept, trimmed = bytes - size, kept - 1, true
end
if trimmed then
  redis.call('XTRIM', log, 'MINID', string.format('%.0f-0', top - kept + 1))
end

redis.call('HSET', meta, 'epoch', epoch, 'offset', offset, 'end', reason, 'bytes', string.format('%.0f', bytes))
if id ~= '' then
  local number = redis.call('HINCRBY', ids, 'count', 1)
  redis.call('HSET', ids, 'id' .. id, epoch .. ':' .. offset, 'at ' .. number, id)
  local oldest = 'at ' .. (number - tonumber(ARGV[13]))
  local forgotten = redis.call('HGET', ids, oldest)
  if forgotten then
    redis.call('HDEL', ids, oldest, 'id' .. forgotten)
  end
end
redis.call('ZADD', index, now, topic)
redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', now - tonumber(ARGV[18])))
for _, key in ipairs({meta, log, sizes, ids}) do
  redis.call('PEXPIRE', key, ARGV[12])
end
redis.call('PEXPIRE', index, ARGV[18])

local ended = reason == '' and '-' or reason
redis.call(announce, channel, 'P ' .. epoch .. ' ' .. offset .. ' ' .. ended .. ' ' .. topic .. '\n' .. payload)
return answer('ok', epoch .. ':' .. offset)
