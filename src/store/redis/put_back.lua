#!lua flags=allow-oom
-- Puts a login back that was lost, unless it is there as new or has ended, or
-- was taken back by whoever reserved it.
--
-- Allowed under memory pressure: it was there before. A number or a code that
-- another live login has by now stays with that one.
--
-- KEYS  1 record, 2 identity, 3 live number, 4 live code, 5 request id,
--       6 index of logins, 7 logins of its owner, 8 denials of the number,
--       9 stream's head, 10 stream's entries, 11 mark of what was taken back,
--       12 phone call, 13 logins of the number,
--       14 onwards: the logs that count the start
-- ARGV  1 now, 2 login id, 3 version, 4 '1' when it has ended, 5 record's TTL,
--       6 number and code are held until, 7 their TTL,
--       8 sealed identity ('' for none), 9 its TTL, 10 wake channel, 11 writer,
--       12 a fresh epoch, 13 stream's window, 14 TTL of entries, 15 of the head,
--       16 digest of the content, 17 when the person has said no ('' when not),
--       18 when it was asked for,
--       19 request id is remembered until, 20 its TTL, 21 index's TTL,
--       22 TTL of logs and denials, 23 key of an owner's logins without the owner,
--       24 '1' when there is a phone call,
--       25 key of a landing's login without the digest, 26 that digest ('' unless the
--       login waits for a landing), 27 number of logs, then the member of each,
--       then the record's fields: name, value
-- Times and TTLs are in milliseconds. Answers 'written', 'kept' or 'withdrawn'.

local login, ended = ARGV[2], ARGV[4] == '1'
local logs = tonumber(ARGV[27])
local FIRST_MEMBER, FIRST_FIELD = 28, 28 + logs
local stream = {
  head = KEYS[9], entries = KEYS[10], now = tonumber(ARGV[1]), fresh = ARGV[12], window = ARGV[13],
  entries_ttl = ARGV[14], head_ttl = ARGV[15],
}

if redis.call('GET', KEYS[11]) then return 'withdrawn' end

local found = redis.call('HMGET', KEYS[1], 'version', 'state', 'owner')
local version = ARGV[3]
if found[1] then
  if found[2] == 'ended' or (not ended and tonumber(found[1]) >= tonumber(version)) then return 'kept' end
  version = string.format('%.0f', math.max(tonumber(found[1]) + 1, tonumber(version)))
  redis.call('ZREM', ARGV[23] .. found[3], login)
end

local landing = redis.call('HGET', KEYS[1], 'landing')
if landing then redis.call('DEL', ARGV[25] .. landing) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'content', ARGV[16], unpack(ARGV, FIRST_FIELD))
redis.call('HSET', KEYS[1], 'version', version)
if ARGV[26] ~= '' then
  redis.call('SET', ARGV[25] .. ARGV[26], login, 'PX', ARGV[7])
  redis.call('HSET', KEYS[1], 'landing', ARGV[26])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if ARGV[8] ~= '' then redis.call('SET', KEYS[2], ARGV[8], 'PX', ARGV[9]) end

for _, key in ipairs({KEYS[3], KEYS[4]}) do
  local holder = redis.call('HGET', key, 'login')
  if ended and holder == login then
    redis.call('DEL', key)
  elseif not ended and (not holder or holder == login) then
    redis.call('HSET', key, 'login', login, 'until', ARGV[6])
    redis.call('PEXPIRE', key, ARGV[7])
  end
end
local caller = redis.call('HGET', KEYS[12], 'login')
if ARGV[24] == '1' and (not caller or caller == login) then
  redis.call('HSET', KEYS[12], 'login', login, 'until', ended and '0' or ARGV[6])
  redis.call('PEXPIRE', KEYS[12], ARGV[5])
end
redis.call('ZADD', KEYS[13], 'NX', ARGV[18], login)
redis.call('PEXPIRE', KEYS[13], ARGV[21])
if not redis.call('HGET', KEYS[5], 'login') then
  redis.call('HSET', KEYS[5], 'login', login, 'content', ARGV[16], 'until', ARGV[19])
  redis.call('PEXPIRE', KEYS[5], ARGV[20])
end
redis.call('ZADD', KEYS[6], 'NX', ARGV[18], login)
redis.call('PEXPIRE', KEYS[6], ARGV[21])
if not ended then
  redis.call('ZADD', KEYS[7], 0, login)
  redis.call('PEXPIRE', KEYS[7], ARGV[21])
end
for i = 0, logs - 1 do
  redis.call('ZADD', KEYS[14 + i], 'GT', ARGV[18], ARGV[FIRST_MEMBER + i])
  redis.call('PEXPIRE', KEYS[14 + i], ARGV[22])
end
if ARGV[17] ~= '' and not redis.call('HGET', KEYS[8], 'count') then
  redis.call('HSET', KEYS[8], 'count', '1', 'at', ARGV[17])
  redis.call('PEXPIRE', KEYS[8], ARGV[22])
end
append_event(stream, login, version, standing(KEYS[1]))
wake(ARGV[10], ARGV[11], login, version)
return 'written'
