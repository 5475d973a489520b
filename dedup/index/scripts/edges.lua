-- The edges of texts. ARGV: the texts (4 bytes each).
-- Answer for a text: the number of each other text (4 bytes) and EDGE, one after another.
local out = {}
for i, t in ipairs(numbers(ARGV[1])) do out[i] = table.concat(call('HGETALL', base .. 'e' .. t)) end
return out
