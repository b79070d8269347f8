#!lua flags=no-writes
-- The live logins of one owner.
--
-- The names of records follow from the set, so they cannot be passed as KEYS;
-- they carry the hash tag of KEYS[1] and live on its node.
--
-- KEYS  1 logins of the owner
-- ARGV  1 now, 2 owner, 3 begin ('-' or '(login id'), 4 most logins to look at,
--       5 record key without login id, 6 identity key without login id

local now, owner, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])

local logins = redis.call('ZRANGE', KEYS[1], ARGV[3], '+', 'BYLEX', 'LIMIT', 0, most)
local owned = {}
for _, login in ipairs(logins) do
  local key = ARGV[5] .. login
  local found = redis.call('HMGET', key, 'state', 'owner', 'kept_until')
  if found[1] and found[1] ~= 'ended' and found[2] == owner and now < tonumber(found[3]) then
    owned[#owned + 1] = {login, redis.call('HGETALL', key), redis.call('GET', ARGV[6] .. login)}
  end
end
return {#logins == most and logins[#logins] or '', owned, 0}
