-- Texts that share word pairs with one.
-- ARGV: least number of postings shared, most texts, postings (6 bytes each)
-- Answer: numbers of texts, 4 bytes each, those that share most first, then by number.
local least, most, blob = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local pairs_ = open_table('w')
local shared, met = {}, {}
for i = 1, #blob, 6 do
  local field = sub(blob, i, i + 5)
  local known = call('HGET', bucket(pairs_, field), field)
  if known == LISTED then
    known = call('GET', base .. 'y' .. field)
    if #known >= 4 * SAME_EVENT then known = nil end  -- everybody says so
  end
  if known then
    for j = 1, #known, 4 do
      local t = unpack_struct('<I4', known, j)
      if not shared[t] then met[#met + 1] = t end
      shared[t] = (shared[t] or 0) + 1
    end
  end
end
local found = {}
for _, t in ipairs(met) do
  if shared[t] >= least then found[#found + 1] = t end
end
table.sort(found, function(x, y)
  if shared[x] ~= shared[y] then return shared[x] > shared[y] end
  return x < y
end)
local out = {}
for i = 1, math.min(#found, most) do out[i] = packed(found[i]) end
return table.concat(out)
