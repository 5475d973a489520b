-- Ids by article number, also of deleted articles. ARGV: numbers.
local out = {}
for i = 1, #ARGV do out[i] = article_id(ARGV[i]) end
return out
