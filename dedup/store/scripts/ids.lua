-- Ids by article number, also of deleted articles. ARGV: the numbers (4 bytes each).
local out = {}
for i, n in ipairs(numbers(ARGV[1])) do out[i] = article_id(n) end
return out
