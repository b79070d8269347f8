#!lua flags=allow-oom
-- Takes a reservation back, unless the login has gone on. One that is not there
-- may still be on its way, on a connection that has stalled, and whoever has
-- adopted it may put it back: the mark keeps both out.
--
-- Another replica may have adopted the login and ended it, not knowing whether
-- the phone was asked. Whoever takes it back knows that it was not: the end
-- stays, and the request id may be tried again.
--
-- KEYS  1 record, 2 request id, 3 live number, 4 live code, 5 index of logins,
--       6 mark of what was taken back, 7 stream's head, 8 stream's entries,
--       9 live phone call, 10 logins of the number,
--       11 onwards: the logs that count the start
-- ARGV  1 login id, 2 member of the logs, 3 '1' to give the charges back,
--       4 wake channel, 5 writer, 6 a fresh epoch, 7 stream's window,
--       8 TTL of entries, 9 of the head,
--       10 key of an owner's logins without the owner, 11 TTL of the mark
-- Times and TTLs are in milliseconds.

local login = ARGV[1]
-- Nobody says what time it is: that of the entry before.
local stream = {
  head = KEYS[7], entries = KEYS[8], now = 0, fresh = ARGV[6], window = ARGV[7],
  entries_ttl = ARGV[8], head_ttl = ARGV[9],
}

local found = redis.call('HMGET', KEYS[1], 'state', 'version', 'owner', 'reason')
local is_given_up = found[1] == 'ended' and found[4] == 'start_unknown'
if found[1] and found[1] ~= 'starting' and not is_given_up then return 'kept' end
redis.call('SET', KEYS[6], '1', 'PX', ARGV[11])
if not found[1] then return 'kept out' end

for _, key in ipairs({KEYS[2], KEYS[3], KEYS[4], KEYS[9]}) do
  if redis.call('HGET', key, 'login') == login then redis.call('DEL', key) end
end
if ARGV[3] == '1' then
  for i = 11, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
end
if is_given_up then return 'ended' end

redis.call('ZREM', KEYS[5], login)
redis.call('ZREM', KEYS[10], login)
redis.call('DEL', KEYS[1])
redis.call('ZREM', ARGV[10] .. found[3], login)
local version = string.format('%.0f', found[2] + 1)
append_event(stream, login, version, {'state', 'released'})
wake(ARGV[4], ARGV[5], login, version)
return 'released'
