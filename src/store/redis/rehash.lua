-- Put before scripts that touch keys whose names are hashed: while one hash key
-- replaces another, brings what lies under the other name under the one that is
-- used here. Each call does so in its own step, so that replicas of either mind
-- find the same.
--
-- The last KEYS are pairs: the other name, and ours. The last ARGV are for each
-- pair 'log' or 'claim', their number, and the digest of the content under the
-- other key ('' without one). They are taken away, and the script finds its own.

local function bring(other, ours, is_log)
  if redis.call('PTTL', other) == -2 then return end
  if redis.call('PTTL', ours) == -2 then
    redis.call('RENAME', other, ours)
    return
  end
  if is_log then
    local entries = redis.call('ZRANGE', other, '0', '-1', 'WITHSCORES')
    for i = 1, #entries, 2 do redis.call('ZADD', ours, 'GT', entries[i + 1], entries[i]) end
    redis.call('PEXPIRE', ours, math.max(redis.call('PTTL', ours), redis.call('PTTL', other)))
    redis.call('DEL', other)
    return
  end
  -- Of two claims or denials the newer one holds.
  local function newness(key)
    local found = redis.call('HMGET', key, 'until', 'at')
    return tonumber(found[1] or found[2] or '0')
  end
  if newness(other) > newness(ours) then
    redis.call('RENAME', other, ours)
  else
    redis.call('DEL', other)
  end
end

local other_content = table.remove(ARGV)
for _ = 1, tonumber(table.remove(ARGV)) do
  local ours, other = table.remove(KEYS), table.remove(KEYS)
  bring(other, ours, table.remove(ARGV) == 'log')
end
