-- The edges of texts. ARGV: the texts (4 bytes each).
-- Answer for a text: the number of each other text (4 bytes) and EDGE, one after another; a number where there are so
-- many that they are to be asked for alone.
local out = {}
for i, t in ipairs(numbers(ARGV[1])) do
  local count = call('HLEN', base .. 'e' .. t)
  out[i] = count > MANY and count or table.concat(call('HGETALL', base .. 'e' .. t))
end
return out
