#!lua flags=allow-oom
-- Gives a check-in up that a start had taken, because nothing was started.
--
-- KEYS  1 check-in, 2 index of those that wait
-- ARGV  1 its name, 2 digest of the start's request id, 3 index's TTL, 4 wake channel,
--       5 writer

local found = redis.call('HMGET', KEYS[1], 'at', 'by', 'qr')
if found[2] == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'by')
  redis.call('ZADD', KEYS[2], found[1], ARGV[1] .. ' ' .. found[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  redis.call('PUBLISH', ARGV[4], 'check-in - ' .. ARGV[5])
end
