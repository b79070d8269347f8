#!lua flags=allow-oom
-- Writes a record's next version, if nobody else has written since.
--
-- Allowed under memory pressure: running logins must be able to end.
-- Repeated with the same write token, it answers 'written' again. With it come the
-- epoch and the number of the event, '' and '0' where there is none, and how often
-- the person of the number has said no of late, '0' where this is not a no.
--
-- KEYS  1 record, 2 identity, 3 live number, 4 live code, 5 logins of its owner,
--       6 stream's head, 7 stream's entries, 8 denials of the number,
--       9 log of starts for the number, 10 phone call
-- ARGV  1 now, 2 login id, 3 version that was read, 4 write token,
--       5 version to write, 6 record's TTL,
--       7 number and code are held until ('' once the login has ended), 8 their TTL,
--       9 sealed identity ('' for none), 10 its TTL, 11 wake channel, 12 writer,
--       13 a fresh epoch, 14 stream's window, 15 TTL of entries, 16 of the head,
--       17 key of an owner's logins without the owner, 18 TTL of that key,
--       19 how long a denial is remembered, 20 TTL of denials,
--       21 key of a landing's login without the digest, 22 that digest ('' unless the
--       login waits for a landing),
--       23 number of fields to remove, then their names,
--       then the fields to write: name, value
-- Times and TTLs are in milliseconds.

local login, token, held_until = ARGV[2], ARGV[4], ARGV[7]
local removed = tonumber(ARGV[23])
local FIRST_REMOVED = 24
local stream = {
  head = KEYS[6], entries = KEYS[7], now = tonumber(ARGV[1]), fresh = ARGV[13], window = ARGV[14],
  entries_ttl = ARGV[15], head_ttl = ARGV[16],
}

-- What makes an event when it changes.
local function marks()
  local found = redis.call('HMGET', KEYS[1], 'state', 'code', 'tries', 'handed_over')
  return table.concat({found[1] or '', found[2] or '', found[3] or '', found[4] or ''}, ' ')
end

-- What the person's own word means for the next who wants to ask.
local function remember_answer()
  local outcome = redis.call('HGET', KEYS[1], 'outcome')
  if outcome == 'approved' then
    redis.call('DEL', KEYS[8], KEYS[9])
  elseif outcome == 'denied' then
    local last = redis.call('HGET', KEYS[8], 'at')
    if last and ARGV[1] - last >= tonumber(ARGV[19]) then redis.call('DEL', KEYS[8]) end
    redis.call('HINCRBY', KEYS[8], 'count', 1)
    redis.call('HSET', KEYS[8], 'at', ARGV[1])
    redis.call('PEXPIRE', KEYS[8], ARGV[20])
  end
end

local function denials()
  local outcome = redis.call('HGET', KEYS[1], 'outcome')
  return outcome == 'denied' and redis.call('HGET', KEYS[8], 'count') or '0'
end

local found = redis.call('HMGET', KEYS[1], 'version', 'write', 'kept_until', 'owner', 'state')
if not found[1] or tonumber(ARGV[1]) >= tonumber(found[3]) then return {'gone', '', '0', '0'} end
if found[2] == token then
  -- WAIT speaks only of what its own connection has written.
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return {'written', '', '0', denials()}
end
if found[1] ~= ARGV[3] then return {'conflict', '', '0', '0'} end

local epoch, number = '', '0'
local marks_before = marks()
if removed > 0 then
  redis.call('HDEL', KEYS[1], unpack(ARGV, FIRST_REMOVED, FIRST_REMOVED + removed - 1))
end
redis.call('HSET', KEYS[1], 'write', token, unpack(ARGV, FIRST_REMOVED + removed))
redis.call('PEXPIRE', KEYS[1], ARGV[6])

if ARGV[9] == '' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[9], 'PX', ARGV[10])
end

-- A login past its deadline may have lost its number to another already.
for _, key in ipairs({KEYS[3], KEYS[4]}) do
  local holder = redis.call('HGET', key, 'login')
  if held_until ~= '' and (not holder or holder == login) then
    redis.call('HSET', key, 'login', login, 'until', held_until)
    redis.call('PEXPIRE', key, ARGV[8])
  elseif held_until == '' and holder == login then
    redis.call('DEL', key)
  end
end

-- What names the login to a landing is in the record until the login has ended.
if ARGV[22] ~= '' then
  redis.call('SET', ARGV[21] .. ARGV[22], login, 'PX', ARGV[8])
  redis.call('HSET', KEYS[1], 'landing', ARGV[22])
elseif held_until == '' then
  local landing = redis.call('HGET', KEYS[1], 'landing')
  if landing then
    redis.call('DEL', ARGV[21] .. landing)
    redis.call('HDEL', KEYS[1], 'landing')
  end
end

-- Of a phone call it is known afterwards too which login it had.
if redis.call('HGET', KEYS[10], 'login') == login then
  redis.call('HSET', KEYS[10], 'until', held_until == '' and '0' or held_until)
  redis.call('PEXPIRE', KEYS[10], ARGV[6])
end

-- The owner may be another one than before.
redis.call('ZREM', ARGV[17] .. found[4], login)
if held_until ~= '' then
  redis.call('ZADD', KEYS[5], 0, login)
  redis.call('PEXPIRE', KEYS[5], ARGV[18])
end

if found[5] ~= 'ended' then remember_answer() end

if marks() ~= marks_before then
  epoch, number = append_event(stream, login, ARGV[5], standing(KEYS[1]))
end
wake(ARGV[11], ARGV[12], login, ARGV[5])
return {'written', epoch, number, denials()}
