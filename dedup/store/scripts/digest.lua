-- Text numbers by digest. ARGV: digests. Answer: a number each, 0 where no such text is kept.
local digests = open_table('d')
local out = {}
for i = 1, #ARGV do
  local t = call('HGET', bucket(digests, ARGV[i]), ARGV[i])
  out[i] = t and number(t) or 0
end
return out
