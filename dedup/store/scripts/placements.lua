-- Where texts are placed: outlet and time of their first carriers. ARGV: the texts (4 bytes each).
-- Answer: for each 17 bytes: the hash of the outlet, the publication time, 1 or 2 where the text is dead; zeros where there is none.
local out = {}
local none = string.rep('\0', 17)
for i, t in ipairs(numbers(ARGV[1])) do
  local got = call('HMGET', base .. 't' .. t, 'c', 'x')
  out[i] = got[1] and sub(got[1], 5, 20) .. (got[2] and '\2' or '\1') or none
end
return table.concat(out)
