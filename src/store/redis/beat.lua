#!lua flags=allow-oom
-- Gives a sign of life, unless goodbye was said, and reads everybody's.
--
-- Repeated, it beats once more: only that the number changes means something.
--
-- KEYS  1 signs of life
-- ARGV  1 who, 2 TTL in milliseconds

if redis.call('HGET', KEYS[1], ARGV[1]) ~= 'left' then
  redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {redis.call('HGETALL', KEYS[1]), redis.call('TIME')}
