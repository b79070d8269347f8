#!lua
-- Counts a start for one number over all tenants, or says why there is none.
--
-- Not allowed under memory pressure, as reservations are not.
--
-- KEYS  1 log of starts, 2 until when the provider wants to hear nothing
-- ARGV  1 now, 2 member of the log, 3 most starts, 4 window, 5 TTL of the log
-- Times and TTLs are in milliseconds.

local now, window = tonumber(ARGV[1]), tonumber(ARGV[4])
local since = string.format('%.0f', now - window)

if redis.call('ZSCORE', KEYS[1], ARGV[2]) then return {'before', '0'} end

local until_then = redis.call('GET', KEYS[2])
if until_then and now < tonumber(until_then) then
  return {'backed_off', string.format('%.0f', until_then - now)}
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', since)
local excess = redis.call('ZCOUNT', KEYS[1], '-inf', '+inf') - ARGV[3]
if excess >= 0 then
  local leaver = redis.call('ZRANGE', KEYS[1], excess, excess, 'WITHSCORES')
  return {'limit_reached', string.format('%.0f', (leaver[2] or now) + window - now)}
end
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'counted', '0'}
