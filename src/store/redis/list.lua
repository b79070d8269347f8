#!lua flags=no-writes
-- A page of the tenant's logins that are still kept, newest first.
--
-- The names of records follow from the index, so they cannot be passed as
-- KEYS; they carry the hash tag of KEYS[1] and live on its node.
--
-- KEYS  1 index of logins
-- ARGV  1 now, 2 index holds nothing of use up to, 3 most logins to look at,
--       4 record key without login id, 5 identity key without login id,
--       6 begin after a login of this time ('+inf' to begin at the newest),
--       7 and of this id, 8 '1' without those that have ended
-- Answers the time and id of the last login that was looked at ('' when there
-- are no more), then the logins.

local now, most, without_ended = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[8] == '1'
local BATCH = 100

local found, looked_at, read = {}, 0, 0
while true do
  local batch = redis.call('ZRANGE', KEYS[1], ARGV[6], '(' .. ARGV[2], 'BYSCORE', 'REV', 'LIMIT', read, BATCH, 'WITHSCORES')
  for i = 1, #batch, 2 do
    local login, at = batch[i], batch[i + 1]
    -- Those of one time come in the reverse order of their ids.
    if at ~= ARGV[6] or login < ARGV[7] then
      local record = redis.call('HMGET', ARGV[4] .. login, 'kept_until', 'state')
      if record[1] and now < tonumber(record[1]) then
        if not (without_ended and record[2] == 'ended') then
          found[#found + 1] = {login, redis.call('HGETALL', ARGV[4] .. login), redis.call('GET', ARGV[5] .. login)}
        end
        looked_at = looked_at + 1
        if looked_at == most then return {at, login, found} end
      end
    end
  end
  read = read + BATCH
  if #batch < 2 * BATCH then return {'', '', found} end
end
