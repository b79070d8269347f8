#!lua flags=no-writes
-- One login: record and identity of the same version.
--
-- KEYS  1 record, 2 identity

return {redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[2])}
