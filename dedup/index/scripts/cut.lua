-- Remove the edges of a text to others it may no longer be compared with (it ceased to be a landmark).
-- ARGV: text, sequence of the entry in the queue that this answers, then the texts to cut off.
local t = ARGV[1]
for i = 3, #ARGV do
  call('HDEL', base .. 'e' .. t, packed(tonumber(ARGV[i])))
  call('HDEL', base .. 'e' .. ARGV[i], packed(tonumber(t)))
  dirty(ARGV[i])
end
if #ARGV > 2 then dirty(t) end
if call('ZSCORE', base .. 'shrink', t) == ARGV[2] then call('ZREM', base .. 'shrink', t) end
return #ARGV - 2
