-- Remove edges of texts to others they may no longer be compared with (they ceased to be landmarks).
-- ARGV: texts one after another, each: its number, sequence of the entry in the queue that this answers (a double, -1: none yet),
--   sequence of its look-up (a double), how many texts to part from follow, these (4 bytes each).
refuse_if_full()
local batch, at = ARGV[1], 1
while at <= #batch do
  local t, queued, seen, others
  t, queued, seen, others, at = unpack_struct('<I4ddI4', batch, at)
  local changed, again = false, false
  for _, o in ipairs(numbers(sub(batch, at, at + 4 * others - 1))) do
    if written_since(o, seen) then again = true
    else
      call('HDEL', base .. 'e' .. t, packed(o))
      call('HDEL', base .. 'e' .. o, packed(t))
      dirty(o)
      changed = true
    end
  end
  at = at + 4 * others
  if changed then dirty(t) end
  if not again and tonumber(call('ZSCORE', base .. 'prune', t) or -2) == queued then call('ZREM', base .. 'prune', t) end
end
return 0
