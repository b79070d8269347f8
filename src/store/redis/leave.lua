#!lua flags=allow-oom
-- Says goodbye. A script only because it must be possible without memory.
--
-- KEYS  1 signs of life
-- ARGV  1 who, 2 TTL in milliseconds

redis.call('HSET', KEYS[1], ARGV[1], 'left')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'left'
