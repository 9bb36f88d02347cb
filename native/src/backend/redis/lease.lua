-- Takes a lease that nobody holds, or prolongs one that is held.
-- KEYS: lease
-- ARGV: token, lifetime (ms), PUBLISH or SPUBLISH, taken channel, scope, 'take' or 'prolong'
local holder = redis.call('GET', KEYS[1])
if ARGV[6] == 'prolong' then
  return holder == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0
end
if holder then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
-- The new holder begins only when it receives this, which comes after all notices of what was taken in before.
redis.call(ARGV[3], ARGV[4], 'L ' .. ARGV[1] .. ' ' .. ARGV[5])
return 1
