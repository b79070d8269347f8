-- Put before scripts that write records: what they say to the rest of the world.
--
-- The stream's head is a hash: its epoch and when that began, the newest number
-- that was given out and the time of the newest entry. It outlives the entries, so that numbers go
-- on in a tenant where nothing happens for long. Should entries be there without
-- a head, they are of no known epoch and go.

-- Entries that are over and go with one append.
local TRIMMED = 8

local function ended_entries(entries, over)
  local found = redis.call('XRANGE', entries, '-', '+', 'COUNT', TRIMMED)
  local first_kept = nil
  for _, entry in ipairs(found) do
    local number = tonumber(string.match(entry[1], '^%d+'))
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'at' and tonumber(entry[2][i + 1]) > over then return first_kept end
    end
    first_kept = number + 1
  end
  return first_kept
end

-- What an entry keeps of a record, where the record has it.
local KEPT = {'state', 'outcome', 'reason', 'code', 'tries', 'deadline', 'ended_at'}

-- How the record stands now, for append_event.
local function standing(record)
  local found, kept = redis.call('HMGET', record, unpack(KEPT)), {}
  for i, name in ipairs(KEPT) do
    if found[i] then
      kept[#kept + 1] = name
      kept[#kept + 1] = found[i]
    end
  end
  return kept
end

-- Adds an entry to the stream. Answers its epoch and its number.
--   stream  head, entries: the keys; now; fresh: an epoch, should one be needed;
--           window, entries_ttl, head_ttl: milliseconds
--   what    names and values, from standing or alike
local function append_event(stream, login, version, what)
  local head = redis.call('HMGET', stream.head, 'epoch', 'newest', 'at')
  if not head[1] then
    redis.call('DEL', stream.entries)
    redis.call('HSET', stream.head, 'begun', string.format('%.0f', stream.now))
    head = {stream.fresh, '0', '0'}
  end
  local number = string.format('%.0f', head[2] + 1)
  local at = math.max(stream.now, tonumber(head[3]))
  local at_text = string.format('%.0f', at)
  redis.call('HSET', stream.head, 'epoch', head[1], 'newest', number, 'at', at_text)
  redis.call('PEXPIRE', stream.head, stream.head_ttl)

  redis.call('XADD', stream.entries, number .. '-0', 'login', login, 'version', version, 'at', at_text, unpack(what))
  redis.call('PEXPIRE', stream.entries, stream.entries_ttl)
  local first_kept = ended_entries(stream.entries, at - stream.window)
  if first_kept then
    redis.call('XTRIM', stream.entries, 'MINID', string.format('%.0f-0', first_kept))
  end
  return head[1], number
end

-- Tells the other replicas that a login has a new version.
local function wake(channel, writer, login, version)
  redis.call('PUBLISH', channel, login .. ' ' .. version .. ' ' .. writer)
end
