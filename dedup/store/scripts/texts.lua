-- The state of texts. ARGV: 'first' or 'all' carriers, the texts (4 bytes each).
-- Answer for a text: {digest, revision, smallest id, carriers, boilerplate, cluster, dead, placement}, all empty where there is none.
-- A byte more after the first carrier tells that there are others.
local out = {}
local all = ARGV[1] == 'all'
for i, t in ipairs(numbers(ARGV[2])) do
  local got = call('HMGET', base .. 't' .. t, 'd', 'v', 'i', 'c', 'f', 'k', 'x', 'p')
  for j = 1, 8 do got[j] = got[j] or '' end
  if not all then got[4] = sub(got[4], 1, CARRIER + 1) end
  out[i] = got
end
return out
