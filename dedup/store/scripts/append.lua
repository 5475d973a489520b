-- What is written to a collection's log, what must be atomic with it, and what a store that is out of memory must do.
-- KEYS: the collection's own key, its log; of delete: the own key, the name it gets, the set of such names; of the
-- last three verbs: one key of another kind, and then ARGV begins with two empty words.
-- ARGV: the first line of what the collection was made with, incarnation, then a verb and what it takes:
--   append COUNTER NONCE ENTRY [INCARNATION]   an entry; with an incarnation, the one that it retires
--   reserve COUNT [FIRST ...]                  pages; blocks that begin with FIRST need not be known any more
--   erased COUNT                               so many records of those that are gone have been erased
--   delete MEMBER                              the own key gets another name, and the set MEMBER
--   erase AT BYTES [AT BYTES ...]              parts of a page become zeros; a page of zeros is removed
--   beat MILLISECONDS                          a sign of life that holds for so long
--   ring MILLISECONDS                          a bell, kept for so long
local own, log, made, me, verb = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local call = redis.call
if verb == 'erase' then
  if call('EXISTS', own) == 0 then return 0 end
  for i = 4, #ARGV, 2 do call('SETRANGE', own, ARGV[i], string.rep('\0', tonumber(ARGV[i + 1]))) end
  if not string.find(call('GET', own), '[^%z]') then call('UNLINK', own) end
  return 1
elseif verb == 'beat' then
  return call('SET', own, '1', 'PX', ARGV[4])
elseif verb == 'ring' then
  call('XADD', own, 'MAXLEN', 1, '*', 'e', '1')
  return call('PEXPIRE', own, ARGV[4])
end
local found = call('HMGET', own, 'd', 'i' .. me, 'n', 'p')
if not found[1] then return redis.error_reply('NOCOLLECTION it was deleted') end
if string.sub(found[1], 1, #made) ~= made then
  if string.sub(found[1], 1, 16) ~= string.sub(made, 1, 16) then
    return redis.error_reply('NOCOLLECTION it was deleted and made again')
  end
  return redis.error_reply('FINGERPRINT it was made with other parameters')
end
local last = found[2]
if last == 'retired' then return redis.error_reply('RETIRED by another server') end

if verb == 'append' then
  local counter, nonce, entry, retires = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
  local seen, where = 0, 0
  if last then
    local colon = string.find(last, ':', 1, true)
    seen, where = tonumber(string.sub(last, 1, colon - 1)), tonumber(string.sub(last, colon + 1))
  end
  if counter <= seen then
    call('HSET', own, 'i' .. me, last) -- a write, so that WAIT waits for what was appended on another connection
    return {counter == seen and where or 0, '', 1}
  end
  if counter > seen + 1 then return redis.error_reply('GAP after entry ' .. seen) end
  if retires and call('HGET', own, 'i' .. retires) == 'retired' then return {0, '', 0} end
  local before, position = found[3] or string.rep('\0', 16), tonumber(found[4] or 0) + 1
  call('XADD', log, string.format('%d-0', position), 'e', nonce .. before .. entry)
  call('HSET', own, 'p', position, 'n', nonce, 'i' .. me, string.format('%d:%d', counter, position))
  if retires then call('HSET', own, 'i' .. retires, 'retired') end
  return {position, before, 0}
elseif verb == 'reserve' then
  local count = tonumber(ARGV[4])
  local first = call('HINCRBY', own, 'g', count) - count + 1
  call('HSET', own, string.format('w%s:%d', me, first), count)
  for i = 5, #ARGV do call('HDEL', own, 'w' .. me .. ':' .. ARGV[i]) end
  return first
elseif verb == 'erased' then
  if tonumber(call('HGET', own, 'x') or 0) < tonumber(ARGV[4]) then call('HSET', own, 'x', ARGV[4]) end
  return 1
elseif verb == 'delete' then
  call('RENAME', own, KEYS[2])
  call('SADD', KEYS[3], ARGV[4])
  return 1
end
return redis.error_reply('VERB ' .. tostring(verb))
