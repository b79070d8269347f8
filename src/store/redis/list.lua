#!lua flags=no-writes
-- The tenant's logins that are still kept, newest first.
--
-- The names of records follow from the index, so they cannot be passed as
-- KEYS; they carry the hash tag of KEYS[1] and live on its node.
--
-- KEYS  1 index of logins
-- ARGV  1 now, 2 index holds nothing of use up to, 3 most records,
--       4 record key without login id, 5 identity key without login id

local now, most = tonumber(ARGV[1]), tonumber(ARGV[3])
local found, read = {}, 0

while #found < most do
  local logins = redis.call('ZRANGE', KEYS[1], '+inf', '(' .. ARGV[2], 'BYSCORE', 'REV', 'LIMIT', read, most)
  if #logins == 0 then break end
  read = read + #logins
  for _, login in ipairs(logins) do
    local kept_until = redis.call('HGET', ARGV[4] .. login, 'kept_until')
    if #found < most and kept_until and now < tonumber(kept_until) then
      local fields = redis.call('HGETALL', ARGV[4] .. login)
      found[#found + 1] = {login, fields, redis.call('GET', ARGV[5] .. login)}
    end
  end
end
return found
