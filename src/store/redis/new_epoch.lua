#!lua flags=allow-oom
-- Begins the stream anew, unless somebody has done so. Numbers go on, so that
-- none is ever lower than one that somebody has seen.
--
-- KEYS  1 stream's head, 2 stream's entries
-- ARGV  1 epoch that is to end, 2 the fresh one, 3 number to go on after,
--       4 the head's TTL in milliseconds, 5 now

local head = redis.call('HMGET', KEYS[1], 'epoch', 'newest', 'at')
if head[1] and head[1] ~= ARGV[1] then return 'kept' end

local newest = math.max(tonumber(head[2] or '0'), tonumber(ARGV[3]))
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'newest', string.format('%.0f', newest), 'at', head[3] or '0')
redis.call('HSET', KEYS[1], 'begun', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 'begun'
