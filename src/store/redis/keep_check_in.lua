#!lua
-- Keeps a check-in, unless it is known. Answers its name where it is known by
-- another one, else ''.
--
-- KEYS  1 check-in, 2 index of those that wait, 3 the same under the other hash key
-- ARGV  1 its name, 2 when it was made, 3 the code, 4 record format, 5 sealed token,
--       6 TTL, 7 those made at this time or before are over, 8 how many may wait,
--       9 key of a check-in without its name, 10 index's TTL, 11 wake channel, 12 writer
-- Times and TTLs are in milliseconds.

local other = redis.call('HGET', KEYS[3], 'id')
if other then return other end
if redis.call('HGET', KEYS[1], 'id') then return '' end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[7])
local surplus = redis.call('ZCOUNT', KEYS[2], '-inf', '+inf') + 1 - tonumber(ARGV[8])
if surplus > 0 then
  for _, gone in ipairs(redis.call('ZRANGE', KEYS[2], 0, surplus - 1)) do
    redis.call('ZREM', KEYS[2], gone)
    redis.call('DEL', ARGV[9] .. string.match(gone, '^%S+'))
  end
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'at', ARGV[2], 'qr', ARGV[3], 'format', ARGV[4], 'token', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[10])
redis.call('PUBLISH', ARGV[11], 'check-in - ' .. ARGV[12])
return ''
