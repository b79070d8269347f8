#!lua
-- Counts a question about a number as a start is counted, or says why not.
--
-- Not allowed under memory pressure, as reservations are not.
--
-- KEYS  1 denials of the number, 2 onwards: one log of starts for each charge
-- ARGV  1 now, 2 to 4 the cool-down, 5 onwards: the charges
-- Times and TTLs are in milliseconds.

local now = tonumber(ARGV[1])
local cooling = cools_for(KEYS[1], now, 2)
if cooling > 0 then return {'cooling_down', string.format('%.0f', cooling), ''} end
local charges = charges_at(5, 2)
local wait, reached = longest_wait(charges, now)
if wait then return {'limit_reached', string.format('%.0f', wait), reached} end
count(charges, now)
return {'counted', '0', ''}
