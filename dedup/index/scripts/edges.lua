-- The edges of texts. ARGV: texts. Answer for a text: the number of each other text (4 bytes) and EDGE, one after another.
local out = {}
for i = 1, #ARGV do out[i] = table.concat(call('HGETALL', base .. 'e' .. ARGV[i])) end
return out
