-- Claims, stores, forgets or lists cursors of durable subscriptions.
-- KEYS: the cursors of one owner (a hash: term:used_at:positions by device and pattern), and all cursors of the partition by
--   the time of their last use
-- ARGV: the action, device and pattern, the cursor's name among all, term, positions, the longest time without use (ms), the
--   most cursors of an owner (empty for no limit), the most in total
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local age_max = tonumber(ARGV[6])
if ARGV[1] == 'list' then
  local listed, all = {'listed'}, redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do
    local used_at, positions = string.match(all[at + 1], '^%d+:(%d+):(.*)$')
    if used_at and now - tonumber(used_at) <= age_max then
      listed[#listed + 1] = all[at]
      listed[#listed + 1] = string.format('%.0f', now - tonumber(used_at))
      listed[#listed + 1] = positions
    end
  end
  return listed
end
local kept = redis.call('HGET', KEYS[1], ARGV[2])
local term, positions
if kept then
  local used_at
  term, used_at, positions = string.match(kept, '^(%d+):(%d+):(.*)$')
  if not term or now - tonumber(used_at) > age_max then
    term = nil
  end
end

local forgotten = 0
local function keep(new_term, new_positions)
  local value = string.format('%s:%.0f:%s', new_term, now, new_positions)
  redis.call('HSET', KEYS[1], ARGV[2], value)
  redis.call('PEXPIRE', KEYS[1], math.max(age_max, 1))
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[3])
  return {'claimed', new_term, new_positions, tostring(forgotten)}
end

local function is_full()
  local is_full_here = ARGV[7] ~= '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7])
  return is_full_here or redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[8])
end

-- An expired cursor is removed when it is requested, and counted in the answer. If the whole hash has expired, its entry among all is left.
if ARGV[1] == 'remove' or (ARGV[1] == 'claim' and not term) then
  redis.call('HDEL', KEYS[1], ARGV[2])
  forgotten = redis.call('ZREM', KEYS[2], ARGV[3])
end
if ARGV[1] == 'store' and term == ARGV[4] then
  keep(term, ARGV[5])
end
if ARGV[1] ~= 'claim' then
  return {'done'}
end
if term then
  return keep(string.format('%.0f', tonumber(term) + 1), positions)
end
if is_full() then
  local old = string.format('(%.0f', now - age_max)
  forgotten = forgotten + redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', old)
  local all = redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do
    local used_at = string.match(all[at + 1], '^%d+:(%d+):')
    if not used_at or now - tonumber(used_at) > age_max then
      redis.call('HDEL', KEYS[1], all[at])
    end
  end
  if is_full() then
    return {'full'}
  end
end
return keep(ARGV[4], ARGV[5])
