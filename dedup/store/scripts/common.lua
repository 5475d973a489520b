-- Shared by every script: prepended by the loader. KEYS[1] is the prefix of all keys of one partition of one
-- collection; every key made from it carries the same hash tag. Layouts: see dedup/store/keys.py.
local base = KEYS[1]
local call = redis.call
local sub, byte, pack, unpack_struct = string.sub, string.byte, struct.pack, struct.unpack

local COUNTERS = base .. '#'
local HEAD = 56          -- bytes of an article record before the decision
local DECISION = 29      -- bytes of the decision
local CARRIER = 33       -- bytes of one carrier in a text's list
local EDGE = 33          -- bytes of an edge without its ends
local NO_VERSION = string.rep('\255', 8)
local FLAG_COMPARABLE, FLAG_TOMBSTONE, FLAG_DECIDED = 1, 2, 4
local SHORT = 64         -- bytes of a posting list inside its bucket: 16 texts
local LISTED, PACKED = 'L', 'P'  -- first bytes of what a bucket holds of a posting, unless that is a number in decimals
local LOAD = 45          -- entries a bucket holds on average before the next one is split: twice as many cost twice the time
local SAME_EVENT = 200      -- texts that a list of a word pair holds; from then on it says nothing, and is not asked
local CROWD = 100        -- texts from which on half of a hot list's landmarks open it; the same number in core/kernels/posting_lists.py
local MANY = 200         -- edges of a text that are not read, or removed, in one script
local BLOCK = 16         -- numbers of events that a script takes at once
local BUCKETS = 1024     -- buckets of an empty table of postings; those without entries take no space

-- A full store allows removals: what begins with one would be left half-way. This it refuses, before anything is changed.
local function refuse_if_full() call('HINCRBY', COUNTERS, 'seq', 0) end

local function number(s) return (unpack_struct('<I4', s)) end
local function packed(n) return pack('<I4', n) end
local function numbers(s)
  local out = {}
  for i = 1, #s, 4 do out[#out + 1] = unpack_struct('<I4', s, i) end
  return out
end

-- Byte order, whatever the server's locale.
local function before(a, b)
  local n = #a
  if #b < n then n = #b end
  for i = 1, n do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Linear hashing (Litwin 1980): table `name` has k buckets; fields begin with 4 random bytes. The field of a posting is
-- its last 4 bytes; the first 2 are its bucket among BUCKETS, which all that split off keep.
local tables = {}
local function open_table(name)
  local t = tables[name]
  if not t then
    local got = call('HMGET', COUNTERS, name .. 'k', name .. 'e')
    local first = name == 'p' and BUCKETS or BUCKETS / 16
    t = {name = name, prefix = base .. name, k = tonumber(got[1]) or first, e = tonumber(got[2]) or 0, changed = false}
    t.p = 1
    while t.p * 2 <= t.k do t.p = t.p * 2 end
    tables[name] = t
  end
  return t
end
local function bucket(t, field)
  local i = unpack_struct('>I4', field) % (2 * t.p)
  if i >= t.k then i = i - t.p end
  return t.prefix .. pack('>I4', i)
end
local function home(t, posting, at)
  local high, low = unpack_struct('>I2I4', posting, at)
  local i = high + BUCKETS * (low % (2 * t.p / BUCKETS))
  if i >= t.k then i = i - t.p end
  return t.prefix .. pack('>I4', i), sub(posting, at + 2, at + 5)
end
local function split(t)
  local fresh, double = t.k, 2 * t.p
  local old_key, new_key = t.prefix .. pack('>I4', t.k - t.p), t.prefix .. pack('>I4', fresh)
  t.k = t.k + 1
  if t.k == double then t.p = t.k end
  local divisor, remainder = double, fresh
  if t.name == 'p' then divisor, remainder = double / BUCKETS, math.floor(fresh / BUCKETS) end
  local all = call('HGETALL', old_key)
  local gone, moved, n = {'HDEL', old_key}, {'HSET', new_key}, 2
  for i = 1, #all, 2 do
    local field = all[i]
    if unpack_struct('>I4', field) % divisor == remainder then
      n = n + 1
      gone[n] = field
      moved[2 * n - 3], moved[2 * n - 2] = field, all[i + 1]
    end
  end
  if n > 2 then
    call(unpack(moved))
    call(unpack(gone))
  end
end
-- Split ahead of what is to come, while buckets are small.
local function make_room(t, entries)
  while t.e + entries > LOAD * t.k do
    split(t)
    t.changed = true
  end
end
local function close_tables()
  for name, t in pairs(tables) do
    if t.changed then
      make_room(t, 0)
      call('HSET', COUNTERS, name .. 'k', t.k, name .. 'e', t.e)
    end
  end
end
local function table_set(t, field, value)
  if call('HSET', bucket(t, field), field, value) == 1 then t.e = t.e + 1 end
  t.changed = true
end
local function table_delete(t, field)
  if call('HDEL', bucket(t, field), field) == 1 then t.e = t.e - 1 end
  t.changed = true
end

-- Numbers of events are taken in blocks; what is left of one is never used.
local sequence
local last_of_block = 0
local function next_sequence()
  if last_of_block == 0 or sequence == last_of_block then
    last_of_block = call('HINCRBY', COUNTERS, 'seq', BLOCK)
    sequence = last_of_block - BLOCK
  end
  sequence = sequence + 1
  return sequence
end
local function queue(name, t) call('ZADD', base .. name, next_sequence(), t) end

-- A text's edges or carriers changed: its component is settled again.
local function dirty(t) queue('dirty', t) end
-- What its verification rests on changed: edges made before are verified again.
local function invalidate(t)
  if call('EXISTS', base .. 't' .. t) == 1 then
    call('HINCRBY', base .. 't' .. t, 'v', 1)
    queue('recheck', t)
  end
end

-- Whether another text's edges were written after a look-up (-1: there was none): what that look-up did not see may be new, not gone.
local function written_since(t, seen)
  local w = call('HGET', base .. 't' .. t, 'w')
  return w and seen >= 0 and tonumber(w) > seen
end

local function article_id(n)
  local head = call('GETRANGE', base .. 'a' .. n, HEAD + DECISION, HEAD + DECISION + 513)
  if #head < 2 then return '' end
  return sub(head, 3, 2 + unpack_struct('<H', head))
end

-- The texts of a posting as its bucket holds it: the number of a single one in decimals, which a listpack stores in 2 to 5
-- bytes, or PACKED and 4 bytes a text; nil where it is LISTED in a key of its own.
local function members_of(v)
  local first = sub(v, 1, 1)
  if first == PACKED then return sub(v, 2) end
  if first ~= LISTED then return packed(tonumber(v)) end
end
local function value_of(members)
  if #members == 4 then return tostring(number(members)) end
  return PACKED .. members
end

-- Hot posting lists keep their landmarks, the C texts with the smallest digests, apart: 8 bytes of digest
-- and the number of the text, ascending by digest.
local ranks = {}  -- the lists of a hot story mostly have the same members
local function landmarks_of(members, limit)
  local list = {}
  for i = 1, #members, 4 do
    local m = sub(members, i, i + 3)
    ranks[m] = ranks[m] or sub(call('HGET', base .. 't' .. number(m), 'd'), 1, 8) .. m
    list[#list + 1] = ranks[m]
  end
  table.sort(list, before)
  for i = #list, limit + 1, -1 do list[i] = nil end
  return list
end
-- How many landmarks, the smallest first, open a hot list of so many texts: may be compared with all others in it.
local function opening(count, limit)
  if count < CROWD then return limit end
  return math.ceil(limit / 2)
end
-- The number of the landmark in a place, counted from 1.
local function landmark(marks, place) return number(sub(marks, 12 * place - 3, 12 * place)) end
-- The place that a text has, or would have, among landmarks; one more than there are for a text that is none.
local function place_of(marks, mine)
  if before(sub(marks, -12), mine) then return #marks / 12 + 1 end  -- as most are
  local place = 1
  while before(sub(marks, 12 * place - 11, 12 * place), mine) do place = place + 1 end
  return place
end
local numbers_of = {}  -- the lists of a hot story mostly have the same landmarks
local function landmark_numbers(marks)
  local known = numbers_of[marks]
  if not known then
    local out = {}
    for i = 1, #marks, 12 do out[#out + 1] = sub(marks, i + 8, i + 11) end
    known = table.concat(out)
    numbers_of[marks] = known
  end
  return known
end
local function without(members, m)
  for i = 1, #members, 4 do
    if sub(members, i, i + 3) == m then return sub(members, 1, i - 1) .. sub(members, i + 4) end
  end
  return members
end

-- One posting list as the caller needs it: index, how many texts the query may be compared with (none with
-- landmarks: these), how many landmarks follow them (0: the list is not hot), the landmark pushed out (0: none), how many
-- texts a hot list has.
local function entry(index, eligible, landmarks, evicted, size)
  return pack('<I4I4I4I4I4', index, #eligible / 4, #landmarks / 4, evicted, size) .. eligible .. landmarks
end
