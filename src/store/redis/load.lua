#!lua flags=no-writes
-- One login: record and identity of the same version.
--
-- With what the stream's head says, which tells whether a login that is not
-- there was lost.
--
-- KEYS  1 record, 2 identity, 3 stream's head

local head = redis.call('HMGET', KEYS[3], 'epoch', 'newest', 'begun')
return {redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[2]), head}
