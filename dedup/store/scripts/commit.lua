-- Write what verification found: edges of texts, boilerplate, decisions of articles.
-- ARGV: one after another, numbers of 4 bytes: how many texts, invalidated texts and decisions follow; then
--   texts, each: number, revision it was read at, sequence of its look-up (a double, -1 none), 1 to replace + 2 if boilerplate is
--     given, lengths of the four that follow: sequence of the recheck it answers ('' none), boilerplate, placement ('' unchanged),
--     texts whose edges stay besides; then how many edges, each: other text, its revision, value (EDGE bytes);
--   texts whose boilerplate changed;
--   decisions: article number, length, decision ('' none).
-- Answer: {texts whose commit was refused and will be verified again, articles decided now, texts whose boilerplate changed}
refuse_if_full()
local refused, decided = {}, {}
local batch, at = ARGV[1], 13
local commits, invalidated, decisions = unpack_struct('<I4I4I4', batch)

local function take(size)
  at = at + size
  return sub(batch, at - size, at - 1)
end

local function read_commit()
  local c, known, recheck, boilerplate, placement, stay, edges = {edges = {}}, nil, nil, nil, nil, nil, nil
  c.t, c.revision, c.seen, known, recheck, boilerplate, placement, stay, at = unpack_struct('<I4I4dBI4I4I4I4', batch, at)
  c.recheck, c.boilerplate, c.placement, c.stay = take(recheck), take(boilerplate), take(placement), take(stay)
  c.replace = known % 2 == 1
  if known < 2 then c.boilerplate = nil end
  edges, at = unpack_struct('<I4', batch, at)
  for i = 1, edges do
    local o, revision, value
    o, revision, value, at = unpack_struct('<I4I4c' .. EDGE, batch, at)
    c.edges[i] = {o, revision, value}
  end
  return c
end

local removals = MANY  -- a text that loses more edges is verified again for the others
local function remove_edge(t, o)
  removals = removals - 1
  call('HDEL', base .. 'e' .. t, packed(o))
  call('HDEL', base .. 'e' .. o, packed(t))
  dirty(o)
end

local pruning = {}
local function prune_if(t, evicted, seen)
  if evicted and seen >= 0 and tonumber(evicted) > seen and not pruning[t] then
    pruning[t] = true
    queue('prune', t)
  end
end

-- First boilerplate, which others' edges rest on: where it changes the revision moves on, and an edge of this very
-- call, verified with the new boilerplate, names the revision before.
local texts, moved, moved_texts = {}, {}, {}
for _ = 1, commits do
  local c = read_commit()
  local boilerplate, placement = c.boilerplate, c.placement
  local key = base .. 't' .. c.t
  local state = call('HMGET', key, 'v', 'ev', 'x', 'f')
  if not state[1] or state[3] then
    if c.recheck ~= '' then call('ZREM', base .. 'recheck', c.t) end
  elseif tonumber(state[1]) ~= c.revision then
    queue('recheck', c.t)
    refused[#refused + 1] = c.t
  else
    c.evicted = state[2]
    if placement ~= '' then call('HSET', key, 'p', placement) end
    texts[#texts + 1] = c
    if boilerplate and boilerplate ~= (state[4] or '') then
      if boilerplate == '' then call('HDEL', key, 'f') else call('HSET', key, 'f', boilerplate) end
      call('HINCRBY', key, 'v', 1)
      moved[c.t] = true
      moved_texts[#moved_texts + 1] = c.t
    end
  end
end

for _, c in ipairs(texts) do
  local t = c.t
  local t4 = packed(t)
  local changed, again = false, false
  if c.replace or #c.edges > 0 then call('HSET', base .. 't' .. t, 'w', next_sequence()) end
  if c.replace then
    local keep = {}
    for _, edge in ipairs(c.edges) do keep[packed(edge[1])] = true end
    for i = 1, #c.stay, 4 do keep[sub(c.stay, i, i + 3)] = true end
    for _, o in ipairs(call('HKEYS', base .. 'e' .. t)) do
      if not keep[o] then
        if removals == 0 or written_since(number(o), c.seen) then again = true
        else
          remove_edge(t, number(o))
          changed = true
        end
      end
    end
  end
  for _, edge in ipairs(c.edges) do
    local o, o_revision, value = edge[1], edge[2], edge[3]
    local other = call('HMGET', base .. 't' .. o, 'v', 'ev', 'x')
    if other[1] and not other[3] then
      local current = tonumber(other[1]) - (moved[o] and 1 or 0)
      if current ~= o_revision then again = true
      else
        local o4 = packed(o)
        if not c.replace or call('HGET', base .. 'e' .. t, o4) ~= value then
          call('HSET', base .. 'e' .. t, o4, value)
          call('HSET', base .. 'e' .. o, t4, value)
          changed = true
        end
        prune_if(o, other[2], c.seen)
      end
    end
  end
  prune_if(t, c.evicted, c.seen)
  if changed then dirty(t) end
  if again then
    queue('recheck', t)
    refused[#refused + 1] = t
  elseif c.recheck ~= '' and call('ZSCORE', base .. 'recheck', t) == c.recheck then
    call('ZREM', base .. 'recheck', t)
  end
end
for _, t in ipairs(numbers(take(4 * invalidated))) do invalidate(t) end
local done = {'ZREM', base .. 'pending'}
for _ = 1, decisions do
  local n, size
  n, size, at = unpack_struct('<I4I4', batch, at)
  local decision = take(size)
  local key = base .. 'a' .. n
  local head = call('GETRANGE', key, 0, HEAD - 1)
  if #head == HEAD then
    local _, flags = unpack_struct('<I4I4', head)
    if decision ~= '' and bit.band(flags, FLAG_DECIDED) == 0 then
      call('SETRANGE', key, 4, packed(flags + FLAG_DECIDED) .. sub(head, 9) .. decision)
      decided[#decided + 1] = n
    end
  end
  done[#done + 1] = n
end
if #done > 2 then call(unpack(done)) end
return {refused, decided, moved_texts}
