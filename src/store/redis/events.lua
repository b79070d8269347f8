#!lua flags=allow-oom
-- Reads the stream after a number. Writes only to give a stream without a head
-- one, with its first epoch, and to keep the head of a quiet one.
--
-- With the entries come the format and the sealed terms of each login that they
-- name, as far as there is a record. The names of records follow from the
-- entries, so they cannot be passed as KEYS; they carry the hash tag of KEYS[1]
-- and live on its node.
--
-- KEYS  1 stream's head, 2 stream's entries
-- ARGV  1 now, 2 read after number, 3 most entries, 4 a fresh epoch,
--       5 window, 6 the head's TTL, 7 record key without login id
-- Times and TTLs are in milliseconds.

local after, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local over = ARGV[1] - ARGV[5]

local head = redis.call('HMGET', KEYS[1], 'epoch', 'newest')
if not head[1] then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'newest', '0', 'at', '0', 'begun', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return {ARGV[4], 1, 0, {}, {}}
end
if redis.call('PTTL', KEYS[1]) < ARGV[6] / 2 then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end

local function id(number)
  return string.format('%.0f-0', number)
end

local function is_over(number)
  local entry = redis.call('XRANGE', KEYS[2], id(number), id(number))[1]
  if not entry then return true end
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'at' then return tonumber(entry[2][i + 1]) <= over end
  end
end

-- Numbers have no gaps and times never go back, so the oldest entry that is not
-- over is found by halving.
local newest = tonumber(head[2])
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local oldest, beyond = newest + 1, newest + 1
if first then oldest = tonumber(string.match(first[1], '^%d+')) end
while oldest < beyond do
  local middle = math.floor((oldest + beyond) / 2)
  if is_over(middle) then oldest = middle + 1 else beyond = middle end
end

local entries = {}
if most > 0 and newest >= oldest then
  entries = redis.call('XRANGE', KEYS[2], id(math.max(after + 1, oldest)), '+', 'COUNT', most)
end

local seen, terms = {}, {}
for _, entry in ipairs(entries) do
  for i = 1, #entry[2], 2 do
    local login = entry[2][i + 1]
    if entry[2][i] == 'login' and not seen[login] then
      seen[login] = true
      local found = redis.call('HMGET', ARGV[7] .. login, 'format', 'terms')
      if found[1] then terms[#terms + 1] = {login, found[1], found[2]} end
    end
  end
end
return {head[1], oldest, newest, entries, terms}
