#!lua
-- Claims everything that one start needs, or nothing.
--
-- Not allowed under memory pressure: new logins are what is shed first.
-- Repeated for a login that it has reserved, it answers 'new' again.
--
-- KEYS  1 record, 2 request id, 3 live number, 4 live code, 5 index of logins,
--       6 logins of its owner, 7 mark of what was taken back, 8 stream's head,
--       9 stream's entries, 10 denials of the number, 11 live phone call,
--       12 logins of the number,
--       13 onwards: one log of starts for each charge
-- ARGV  1 now, 2 login id, 3 digest of the content,
--       4 number and code are held until, 5 their TTL,
--       6 request id is remembered until, 7 its TTL,
--       8 record's TTL, 9 index keeps what is newer than, 10 index's TTL,
--       11 wake channel, 12 writer,
--       13 a fresh epoch, 14 stream's window, 15 TTL of entries, 16 of the head,
--       17 epoch of the stream that we know ('' for none), 18 its newest number,
--       19 how long nothing is reserved after an epoch has begun,
--       20 to 22 the cool-down, 23 '1' when there is a phone call, 24 what to do
--       when number or call has a live login: 'refuse', 'join' if it has the same
--       content, or 'replace', for which the guards are asked first, 25 record key without login id, 26 onwards: the charges,
--       then the record's fields: name, value
-- Times and TTLs are in milliseconds.

local now, login = tonumber(ARGV[1]), ARGV[2]
local stream = {
  head = KEYS[8], entries = KEYS[9], now = now, fresh = ARGV[13], window = ARGV[14],
  entries_ttl = ARGV[15], head_ttl = ARGV[16],
}

local charges, first_field = charges_at(26, 13)

-- The other login that holds it, if there is one.
local function holder_of(key)
  local held = redis.call('HMGET', key, 'login', 'until')
  if held[1] and held[1] ~= login and now < tonumber(held[2]) then return held[1] end
end

-- Whether the live login `holder` is what is asked for; then the request id is
-- spent for it.
local function joins(holder)
  local content = redis.call('HGET', ARGV[25] .. holder, 'content')
  if content ~= ARGV[3] and content ~= other_content then return false end
  redis.call('HSET', KEYS[2], 'login', holder, 'content', ARGV[3], 'until', ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
  return true
end

local function hold(key)
  redis.call('HSET', key, 'login', login, 'until', ARGV[4])
  redis.call('PEXPIRE', key, ARGV[5])
end

-- Whoever wanted this has given it up, and nobody would ring.
if redis.call('GET', KEYS[7]) then return {'withdrawn'} end

-- Before anything else: a store that has lost data does not know whose phones
-- have rung.
local function recovers_for()
  local head, quiet = redis.call('HMGET', stream.head, 'epoch', 'newest', 'begun'), tonumber(ARGV[19])
  if not head[1] then
    redis.call('DEL', stream.entries)
    redis.call('HSET', stream.head, 'epoch', stream.fresh, 'newest', '0', 'at', '0', 'begun', ARGV[1])
    redis.call('PEXPIRE', stream.head, stream.head_ttl)
    if ARGV[17] ~= '' then return math.max(quiet, 1) end
    return quiet
  end
  local has_lost = ARGV[17] ~= '' and (head[1] ~= ARGV[17] or tonumber(head[2]) < tonumber(ARGV[18]))
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
    redis.call('PEXPIRE', KEYS[1], ARGV[8])
    return {'new', '', '0'}
  end
  if known[2] == ARGV[3] or known[2] == other_content then return {'existing', known[1]} end
  return {'reused'}
end

local holder, busy = holder_of(KEYS[3]), 'number_busy'
if not holder and ARGV[23] == '1' then holder, busy = holder_of(KEYS[11]), 'call_busy' end
if holder and ARGV[24] == 'join' and joins(holder) then return {'joined', holder} end
if holder and ARGV[24] ~= 'replace' then return {busy, holder} end

local cooling = cools_for(KEYS[10], now, 20)
if cooling > 0 then return {'cooling_down', string.format('%.0f', cooling)} end

local wait, reached = longest_wait(charges, now)
if wait then return {'limit_reached', string.format('%.0f', wait), reached} end
if holder then return {busy, holder} end

if holder_of(KEYS[4]) then return {'code_taken'} end

redis.call('HSET', KEYS[1], 'content', ARGV[3], unpack(ARGV, first_field))
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('HSET', KEYS[2], 'login', login, 'content', ARGV[3], 'until', ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
hold(KEYS[3])
hold(KEYS[4])
if ARGV[23] == '1' then hold(KEYS[11]) end
redis.call('ZREMRANGEBYSCORE', KEYS[12], '-inf', ARGV[9])
redis.call('ZADD', KEYS[12], now, login)
redis.call('PEXPIRE', KEYS[12], ARGV[10])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[9])
redis.call('ZADD', KEYS[5], now, login)
redis.call('PEXPIRE', KEYS[5], ARGV[10])
redis.call('ZADD', KEYS[6], 0, login)
redis.call('PEXPIRE', KEYS[6], ARGV[10])
count(charges, now)
local epoch, number = append_event(stream, login, '1', standing(KEYS[1]))
wake(ARGV[11], ARGV[12], login, '1')
return {'new', epoch, number}
