-- Remove the edges of a text to others it may no longer be compared with (it ceased to be a landmark).
-- ARGV: text, sequence of the entry in the queue that this answers, sequence of the look-up, then the texts to cut off.
refuse_if_full()
local t, seen = ARGV[1], tonumber(ARGV[3])
local changed, again = false, false
for i = 4, #ARGV do
  local o = tonumber(ARGV[i])
  if written_since(o, seen) then again = true
  else
    call('HDEL', base .. 'e' .. t, packed(o))
    call('HDEL', base .. 'e' .. o, packed(tonumber(t)))
    dirty(o)
    changed = true
  end
end
if changed then dirty(t) end
if not again and call('ZSCORE', base .. 'shrink', t) == ARGV[2] then call('ZREM', base .. 'shrink', t) end
return again and 1 or 0
