-- All texts of one posting. ARGV: the posting (6 bytes). Answer: 4 bytes a text.
local field = ARGV[1]
local v = call('HGET', bucket(open_table('p'), field), field)
if not v then return '' end
if #v > 1 then return v end
return call('GET', base .. 'l' .. field)
