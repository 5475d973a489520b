-- Write what verification found: edges of texts, furniture, decisions of articles.
-- ARGV: number of texts; for each: text, revision it was read at, sequence of its look-up ('' none), replace (0/1),
-- sequence of the recheck it answers ('' none), furniture ('-' unchanged), placement ('' unchanged), number of edges, then per edge:
-- other text, its revision, value. Then a count and texts whose furniture changed, then pairs of article number
-- and decision.
-- Answer: {texts whose commit was refused and will be verified again, articles decided now}
local refused, decided = {}, {}
local p = 2

local function remove_edge(t, o)
  call('HDEL', base .. 'e' .. t, packed(o))
  call('HDEL', base .. 'e' .. o, packed(t))
  dirty(o)
end

local function shrink_if(t, evicted, seen)
  if evicted and seen ~= '' and tonumber(evicted) > tonumber(seen) then queue('shrink', t) end
end

-- First furniture, which others' edges rest on: where it changes the revision moves on, and an edge of this very
-- call, verified with the new furniture, names the revision before.
local texts, moved = {}, {}
for _ = 1, tonumber(ARGV[1]) do
  local c = {
    t = ARGV[p], revision = ARGV[p + 1], seen = ARGV[p + 2], replace = ARGV[p + 3] == '1',
    recheck = ARGV[p + 4], edges = tonumber(ARGV[p + 7]), first = p + 8,
  }
  local furniture, placement = ARGV[p + 5], ARGV[p + 6]
  p = p + 8 + 3 * c.edges
  local key = base .. 't' .. c.t
  local state = call('HMGET', key, 'v', 'ev', 'x', 'f')
  if not state[1] or state[3] then
    if c.recheck ~= '' then call('ZREM', base .. 'recheck', c.t) end
  elseif state[1] ~= c.revision then
    queue('recheck', c.t)
    refused[#refused + 1] = tonumber(c.t)
  else
    c.evicted = state[2]
    if placement ~= '' then call('HSET', key, 'p', placement) end
    texts[#texts + 1] = c
    if furniture ~= '-' and furniture ~= (state[4] or '') then
      if furniture == '' then call('HDEL', key, 'f') else call('HSET', key, 'f', furniture) end
      call('HINCRBY', key, 'v', 1)
      moved[c.t] = true
    end
  end
end

for _, c in ipairs(texts) do
  local t = c.t
  local t4 = packed(tonumber(t))
  local changed, again = false, false
  if c.replace or c.edges > 0 then call('HSET', base .. 't' .. t, 'w', next_sequence()) end
  if c.replace then
    local keep = {}
    for e = 1, c.edges do keep[packed(tonumber(ARGV[c.first + 3 * e - 3]))] = true end
    for _, o in ipairs(call('HKEYS', base .. 'e' .. t)) do
      if not keep[o] then
        if written_since(number(o), c.seen) then again = true
        else
          remove_edge(t, number(o))
          changed = true
        end
      end
    end
  end
  for e = 1, c.edges do
    local at = c.first + 3 * e - 3
    local o, o_revision, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local other = call('HMGET', base .. 't' .. o, 'v', 'ev', 'x')
    if other[1] and not other[3] then
      local current = tonumber(other[1]) - (moved[o] and 1 or 0)
      if current ~= tonumber(o_revision) then again = true
      else
        local o4 = packed(tonumber(o))
        if call('HGET', base .. 'e' .. t, o4) ~= value then
          call('HSET', base .. 'e' .. t, o4, value)
          call('HSET', base .. 'e' .. o, t4, value)
          changed = true
        end
        shrink_if(o, other[2], c.seen)
      end
    end
  end
  shrink_if(t, c.evicted, c.seen)
  if changed then dirty(t) end
  if again then
    queue('recheck', t)
    refused[#refused + 1] = tonumber(t)
  elseif c.recheck ~= '' and call('ZSCORE', base .. 'recheck', t) == c.recheck then
    call('ZREM', base .. 'recheck', t)
  end
end
local touched = tonumber(ARGV[p])
for i = p + 1, p + touched do touch(ARGV[i]) end
p = p + 1 + touched
while p <= #ARGV do
  local n, decision = ARGV[p], ARGV[p + 1]
  p = p + 2
  local key = base .. 'a' .. n
  local head = call('GETRANGE', key, 0, 7)
  if #head == 8 then
    local _, flags = unpack_struct('<I4I4', head)
    if decision ~= '' and bit.band(flags, FLAG_DECIDED) == 0 then
      call('SETRANGE', key, HEAD, decision)
      call('SETRANGE', key, 4, packed(flags + FLAG_DECIDED))
      decided[#decided + 1] = tonumber(n)
    end
  end
  call('ZREM', base .. 'pending', n)
end
return {refused, decided}
