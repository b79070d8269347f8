#!lua flags=allow-oom
-- Gives live logins of one owner to another.
--
-- Allowed under memory pressure: running logins must find somebody who ends
-- them. Repeated, it goes on with what the former owner still has. A record's
-- write token goes: a write of the former owner that is repeated is a conflict.
--
-- The names of records follow from the set, so they cannot be passed as KEYS;
-- they carry the hash tag of KEYS[1] and live on its node.
--
-- KEYS  1 logins of the former owner, 2 of the new one
-- ARGV  1 now, 2 former owner, 3 new owner, 4 begin ('-' or '(login id'),
--       5 most logins to look at, 6 record key without login id,
--       7 identity key without login id, 8 oldest format that we read, 9 newest,
--       10 TTL of KEYS[2], 11 wake channel, 12 writer,
--       13 onwards: how blobs begin that we can open
-- Times and TTLs are in milliseconds.

local now, from, to, most = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[5])
local oldest, newest = tonumber(ARGV[8]), tonumber(ARGV[9])
local FIRST_SEAL = 13

local openable, seal_length = {}, #ARGV[FIRST_SEAL]
for i = FIRST_SEAL, #ARGV do openable[ARGV[i]] = true end

local function can_open(blob)
  return not blob or openable[string.sub(blob, 1, seal_length)]
end

local logins = redis.call('ZRANGE', KEYS[1], ARGV[4], '+', 'BYLEX', 'LIMIT', 0, most)
local adopted, left_behind = {}, 0
for _, login in ipairs(logins) do
  local key, identity = ARGV[6] .. login, ARGV[7] .. login
  local found = redis.call('HMGET', key, 'format', 'state', 'owner', 'kept_until', 'version', 'epoch', 'terms', 'secret')
  if not found[1] then
    redis.call('ZREM', KEYS[1], login)
  elseif tonumber(found[1]) < oldest or tonumber(found[1]) > newest then
    left_behind = left_behind + 1
  else
    if found[2] == 'ended' or found[3] ~= from or now >= tonumber(found[4]) then
      redis.call('ZREM', KEYS[1], login)
    elseif can_open(found[7]) and can_open(found[8]) and can_open(redis.call('GET', identity)) then
      local version = string.format('%.0f', found[5] + 1)
      redis.call('HSET', key, 'owner', to, 'version', version, 'epoch', string.format('%.0f', found[6] + 1))
      redis.call('HDEL', key, 'write')
      redis.call('ZREM', KEYS[1], login)
      redis.call('ZADD', KEYS[2], 0, login)
      wake(ARGV[11], ARGV[12], login, version)
      adopted[#adopted + 1] = {login, redis.call('HGETALL', key), redis.call('GET', identity)}
    else
      left_behind = left_behind + 1
    end
  end
end
if #adopted > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[10]) end
return {#logins == most and logins[#logins] or '', adopted, left_behind}
