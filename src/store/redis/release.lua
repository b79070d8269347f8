#!lua flags=allow-oom
-- Takes a reservation back, unless the login has gone on. It only frees memory.
--
-- KEYS  1 record, 2 request id, 3 live number, 4 live code, 5 index of logins,
--       6 log of starts
-- ARGV  1 login id, 2 member of the log, 3 '1' to give the charge back,
--       4 wake channel

local login = ARGV[1]

local found = redis.call('HMGET', KEYS[1], 'state', 'version')
if found[1] ~= 'starting' then return 'kept' end

for _, key in ipairs({KEYS[2], KEYS[3], KEYS[4]}) do
  if redis.call('HGET', key, 'login') == login then redis.call('DEL', key) end
end
redis.call('ZREM', KEYS[5], login)
if ARGV[3] == '1' then redis.call('ZREM', KEYS[6], ARGV[2]) end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[4], login .. ' ' .. string.format('%.0f', found[2] + 1))
return 'released'
