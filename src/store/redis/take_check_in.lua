#!lua
-- Takes a check-in for a start, once. Repeated for the same start it answers 'taken'
-- again. With 'taken' come the record format and the sealed token.
--
-- KEYS  1 check-in, 2 index of those that wait
-- ARGV  1 its name, 2 digest of the start's request id, 3 those made at this time or
--       before are over, 4 wake channel, 5 writer
-- Times are in milliseconds.

local found = redis.call('HMGET', KEYS[1], 'at', 'by', 'format', 'token', 'qr')
if not found[1] then return {'unknown', '', ''} end
if found[2] and found[2] ~= ARGV[2] then return {'used', '', ''} end
if not found[2] then
  if tonumber(found[1]) <= tonumber(ARGV[3]) then return {'expired', '', ''} end
  redis.call('HSET', KEYS[1], 'by', ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[1] .. ' ' .. found[5])
  redis.call('PUBLISH', ARGV[4], 'check-in - ' .. ARGV[5])
end
return {'taken', found[3], found[4]}
