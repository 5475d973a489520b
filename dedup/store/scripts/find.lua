-- Article numbers by name. ARGV: 12-byte hashes of ids. Answer: a number each, 0 where the name is unknown.
local names = open_table('n')
local out = {}
for i = 1, #ARGV do
  local n = call('HGET', bucket(names, ARGV[i]), ARGV[i])
  out[i] = n and number(n) or 0
end
return out
