-- All texts of one posting. ARGV: the posting (6 bytes). Answer: 4 bytes a text.
local v = call('HGET', home(open_table('p'), ARGV[1], 1))
if not v then return '' end
return members_of(v) or call('GET', base .. 'l' .. ARGV[1])
