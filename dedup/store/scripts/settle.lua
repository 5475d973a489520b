-- Write the settled clusters and stories of some components.
-- KEYS[2] is the lease. ARGV: the holder's token, then five counted lists:
--   keys to set: count, then pairs (suffix of the key, value); clusters and stories are told by their first letter
--   ids that were merged away: count, then the same pairs; they leave the lists
--   keys to remove: count, then suffixes
--   clusters of texts: count, then pairs (text, cluster or '')
--   dirty entries done: count, then pairs (text, sequence)
-- Answer: 1, and the lease is given back; or 0 where it is no longer held and nothing was written.
refuse_if_full()
if call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local p = 2
local function counted(width, f)
  local n = tonumber(ARGV[p])
  p = p + 1
  for _ = 1, n do
    f(ARGV[p], ARGV[p + 1])
    p = p + width
  end
end
local kinds = {c = 'clusters', s = 'stories'}
counted(2, function(key, value)
  call('SET', base .. key, value)
  local list = kinds[sub(key, 1, 1)]
  if list then call('ZADD', base .. list, sub(key, 2), sub(key, 2)) end
end)
counted(2, function(key, value)
  call('SET', base .. key, value)
  local list = kinds[sub(key, 1, 1)]
  if list then call('ZREM', base .. list, sub(key, 2)) end
end)
counted(1, function(key)
  call('DEL', base .. key)
  local list = kinds[sub(key, 1, 1)]
  if list then call('ZREM', base .. list, sub(key, 2)) end
end)
counted(2, function(t, cluster)
  if call('EXISTS', base .. 't' .. t) == 1 then
    if cluster == '' then call('HDEL', base .. 't' .. t, 'k') else call('HSET', base .. 't' .. t, 'k', cluster) end
  end
end)
counted(2, function(t, seen)
  if call('ZSCORE', base .. 'dirty', t) == seen then call('ZREM', base .. 'dirty', t) end
end)
call('DEL', KEYS[2])
return 1
