#!lua
-- Claims everything that one start needs, or nothing.
--
-- Not allowed under memory pressure: new logins are what is shed first.
-- Repeated for a login that it has reserved, it answers 'new' again.
--
-- KEYS  1 record, 2 request id, 3 live number, 4 live code, 5 index of logins,
--       6 logins of its owner, 7 mark of what was taken back, 8 stream's head,
--       9 stream's entries, 10 onwards: one log of starts for each charge
-- ARGV  1 now, 2 login id, 3 digest of the content, 4 member of the logs,
--       5 number and code are held until, 6 their TTL,
--       7 request id is remembered until, 8 its TTL,
--       9 record's TTL, 10 index keeps what is newer than, 11 index's TTL,
--       12 logs keep what is newer than, 13 logs' TTL, 14 wake channel, 15 writer,
--       16 a fresh epoch, 17 stream's window, 18 TTL of entries, 19 of the head,
--       20 epoch of the stream that we know ('' for none), 21 its newest number,
--       22 how long nothing is reserved after an epoch has begun,
--       23 number of charges, then for each: most starts, window,
--       then the record's fields: name, value
-- Times and TTLs are in milliseconds.

local now, login, member = tonumber(ARGV[1]), ARGV[2], ARGV[4]
local charges = tonumber(ARGV[23])
local FIRST_LOG, FIRST_CHARGE = 10, 24
local stream = {
  head = KEYS[8], entries = KEYS[9], now = now, fresh = ARGV[16], window = ARGV[17],
  entries_ttl = ARGV[18], head_ttl = ARGV[19],
}

local function is_held(key)
  local held = redis.call('HMGET', key, 'login', 'until')
  return held[1] and held[1] ~= login and now < tonumber(held[2])
end

local function hold(key)
  redis.call('HSET', key, 'login', login, 'until', ARGV[5])
  redis.call('PEXPIRE', key, ARGV[6])
end

-- How long until one more start fits; nil when it fits now.
local function wait_for(log, most, window)
  if redis.call('ZSCORE', log, member) then return nil end
  local since = '(' .. string.format('%.0f', now - window)
  local excess = redis.call('ZCOUNT', log, since, '+inf') - most
  if excess < 0 then return nil end
  local leaver = redis.call('ZRANGE', log, since, '+inf', 'BYSCORE', 'LIMIT', excess, 1, 'WITHSCORES')
  if not leaver[2] then return window end
  return tonumber(leaver[2]) + window - now
end

-- Whoever wanted this has given it up, and nobody would ring.
if redis.call('GET', KEYS[7]) then return {'withdrawn'} end

-- Before anything else: a store that has lost data does not know whose phones
-- have rung.
local function recovers_for()
  local head, quiet = redis.call('HMGET', stream.head, 'epoch', 'newest', 'begun'), tonumber(ARGV[22])
  if not head[1] then
    redis.call('DEL', stream.entries)
    redis.call('HSET', stream.head, 'epoch', stream.fresh, 'newest', '0', 'at', '0', 'begun', ARGV[1])
    redis.call('PEXPIRE', stream.head, stream.head_ttl)
    if ARGV[20] ~= '' then return math.max(quiet, 1) end
    return quiet
  end
  local has_lost = ARGV[20] ~= '' and (head[1] ~= ARGV[20] or tonumber(head[2]) < tonumber(ARGV[21]))
  if has_lost then return math.max(quiet, 1) end
  -- A clock that is ahead of ours makes nobody wait longer.
  return math.min(tonumber(head[3]), now) + quiet - now
end

local wait_for_recovery = recovers_for()
if wait_for_recovery > 0 then return {'recovering', string.format('%.0f', wait_for_recovery)} end

local known = redis.call('HMGET', KEYS[2], 'login', 'content', 'until')
if known[1] and now < tonumber(known[3]) then
  if known[1] == login then
    -- WAIT speaks only of what its own connection has written.
    redis.call('PEXPIRE', KEYS[1], ARGV[9])
    return {'new', '', '0'}
  end
  if known[2] == ARGV[3] then return {'existing', known[1]} end
  return {'reused'}
end

if is_held(KEYS[3]) then return {'number_busy'} end

local wait = nil
for i = 0, charges - 1 do
  local at = FIRST_CHARGE + 2 * i
  local this = wait_for(KEYS[FIRST_LOG + i], tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
  if this and (not wait or this > wait) then wait = this end
end
if wait then return {'limit_reached', string.format('%.0f', wait)} end

if is_held(KEYS[4]) then return {'code_taken'} end

redis.call('HSET', KEYS[1], unpack(ARGV, FIRST_CHARGE + 2 * charges))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
redis.call('HSET', KEYS[2], 'login', login, 'content', ARGV[3], 'until', ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
hold(KEYS[3])
hold(KEYS[4])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[10])
redis.call('ZADD', KEYS[5], now, login)
redis.call('PEXPIRE', KEYS[5], ARGV[11])
redis.call('ZADD', KEYS[6], 0, login)
redis.call('PEXPIRE', KEYS[6], ARGV[11])
for i = 0, charges - 1 do
  local log = KEYS[FIRST_LOG + i]
  redis.call('ZREMRANGEBYSCORE', log, '-inf', ARGV[12])
  redis.call('ZADD', log, 'NX', now, member)
  redis.call('PEXPIRE', log, ARGV[13])
end
local epoch, number = append_event(stream, login, '1', standing(KEYS[1]))
wake(ARGV[14], ARGV[15], login, '1')
return {'new', epoch, number}
