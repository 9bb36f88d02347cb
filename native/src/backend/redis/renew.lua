-- Begins a new epoch of a topic that is still in a given one, with its latest publication as the first.
-- KEYS: meta, log, sizes
-- ARGV: topic, channel, PUBLISH or SPUBLISH, the epoch that it must still be in, the new one, retention (ms)
local meta, log, sizes = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', meta, 'epoch') ~= ARGV[4] then
  return 0
end
local latest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
redis.call('DEL', meta, log, sizes)
if not latest then
  return 0
end
local payload, reason = latest[2][2], latest[2][4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('XADD', log, '1-0', 'd', payload, 'e', reason)
redis.call('RPUSH', sizes, #payload .. ' ' .. string.format('%.0f', now))
redis.call('HSET', meta, 'epoch', ARGV[5], 'offset', '1', 'end', reason, 'bytes', #payload)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[6])
end
local ended = reason == '' and '-' or reason
redis.call(ARGV[3], ARGV[2], 'P ' .. ARGV[5] .. ' 1 ' .. ended .. ' ' .. ARGV[1] .. '\n' .. payload)
return 1
