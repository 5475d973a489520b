-- Write what verification found: edges of texts, furniture, decisions of articles.
-- ARGV: number of texts; for each: text, revision it was read at, sequence of its look-up ('' none), replace (0/1),
-- sequence of the recheck it answers ('' none), furniture ('-' unchanged), number of edges, then per edge:
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

for _ = 1, tonumber(ARGV[1]) do
  local t, revision, seen, replace = ARGV[p], ARGV[p + 1], ARGV[p + 2], ARGV[p + 3]
  local recheck, furniture, edges = ARGV[p + 4], ARGV[p + 5], tonumber(ARGV[p + 6])
  p = p + 7
  local key = base .. 't' .. t
  local state = call('HMGET', key, 'v', 'ev', 'x')
  if not state[1] or state[3] then
    p = p + 3 * edges
    if recheck ~= '' then call('ZREM', base .. 'recheck', t) end
  elseif state[1] ~= revision then
    p = p + 3 * edges
    queue('recheck', t)
    refused[#refused + 1] = tonumber(t)
  else
    local t4 = packed(tonumber(t))
    local changed = false
    local again = false
    if furniture ~= '-' then
      if furniture == '' then call('HDEL', key, 'f') else call('HSET', key, 'f', furniture) end
    end
    if replace == '1' then
      local keep = {}
      for e = 1, edges do keep[packed(tonumber(ARGV[p + 3 * e - 3]))] = true end
      for _, o in ipairs(call('HKEYS', base .. 'e' .. t)) do
        if not keep[o] then
          remove_edge(t, number(o))
          changed = true
        end
      end
    end
    for e = 1, edges do
      local o, o_revision, value = ARGV[p], ARGV[p + 1], ARGV[p + 2]
      p = p + 3
      local other = call('HMGET', base .. 't' .. o, 'v', 'ev', 'x')
      if other[1] and not other[3] then
        if other[1] ~= o_revision then again = true
        else
          local o4 = packed(tonumber(o))
          if call('HGET', base .. 'e' .. t, o4) ~= value then
            call('HSET', base .. 'e' .. t, o4, value)
            call('HSET', base .. 'e' .. o, t4, value)
            changed = true
          end
          shrink_if(o, other[2], seen)
        end
      end
    end
    shrink_if(t, state[2], seen)
    if changed then dirty(t) end
    if again then
      queue('recheck', t)
      refused[#refused + 1] = tonumber(t)
    elseif recheck ~= '' and call('ZSCORE', base .. 'recheck', t) == recheck then
      call('ZREM', base .. 'recheck', t)
    end
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
