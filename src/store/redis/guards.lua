-- Put before scripts that count: what is counted, and how much there may be.

-- Reads a cool-down at `at`: how long a denial is remembered, how long one
-- denial keeps others away, how long many do. How long whoever has said no is
-- still left alone.
local function cools_for(denials, now, at)
  local found = redis.call('HMGET', denials, 'count', 'at')
  if not found[1] or now - found[2] >= tonumber(ARGV[at]) then return 0 end
  local doublings = math.min(found[1] - 1, 31)
  return found[2] + math.min(ARGV[at + 1] * 2 ^ doublings, tonumber(ARGV[at + 2])) - now
end

-- Reads charges at `at`: their number, then for each its name, its member of the
-- log, '1' when equal members count once by their newest time, retention of the
-- log, its TTL, number of limits, and for each of those: most starts, window.
-- Their logs are the keys from `first_log` on. The charges, and what comes next.
local function charges_at(at, first_log)
  local charges, place = {}, at + 1
  for i = 1, tonumber(ARGV[at]) do
    local charge = {
      log = KEYS[first_log + i - 1], name = ARGV[place], member = ARGV[place + 1],
      by_newest = ARGV[place + 2] == '1', retention = ARGV[place + 3], ttl = ARGV[place + 4], limits = {},
    }
    for limit = 1, tonumber(ARGV[place + 5]) do
      local first = place + 4 + 2 * limit
      charge.limits[limit] = {most = tonumber(ARGV[first]), window = tonumber(ARGV[first + 1])}
    end
    place = place + 6 + 2 * #charge.limits
    charges[i] = charge
  end
  return charges, place
end

-- How long until one more fits; nil when it fits now.
local function wait_for(charge, limit, now)
  local counted = redis.call('ZSCORE', charge.log, charge.member)
  if counted and (not charge.by_newest or tonumber(counted) > now - limit.window) then return nil end
  local since = '(' .. string.format('%.0f', now - limit.window)
  local excess = redis.call('ZCOUNT', charge.log, since, '+inf') - limit.most
  if excess < 0 then return nil end
  local leaver = redis.call('ZRANGE', charge.log, since, '+inf', 'BYSCORE', 'LIMIT', excess, 1, 'WITHSCORES')
  if not leaver[2] then return limit.window end
  return tonumber(leaver[2]) + limit.window - now
end

-- The longest wait of all, and the name of its charge; nil when one more fits.
local function longest_wait(charges, now)
  local wait, reached = nil, nil
  for _, charge in ipairs(charges) do
    for _, limit in ipairs(charge.limits) do
      local this = wait_for(charge, limit, now)
      if this and (not wait or this > wait) then wait, reached = this, charge.name end
    end
  end
  return wait, reached
end

local function count(charges, now)
  for _, charge in ipairs(charges) do
    redis.call('ZREMRANGEBYSCORE', charge.log, '-inf', string.format('%.0f', now - charge.retention))
    redis.call('ZADD', charge.log, charge.by_newest and 'GT' or 'NX', now, charge.member)
    redis.call('PEXPIRE', charge.log, charge.ttl)
  end
end
