-- Store a batch of articles: name, record, text, postings; answer, for each, what happened and whom it meets.
-- ARGV: time (ms), landmarks of a posting, then articles one after another, each
--   hash of the id (12 bytes), 'u' usable or 'c' canceled, content hash (8), version (8, big-endian, NO_VERSION none), version time (double, -1 none),
--   flags (1 comparable), digest of the body (16), carrier without its number, lengths of what follows: the id,
--   postings, 6 bytes each, the payload of the record, and postings of word pairs, 6 bytes each.
-- Answer: an error where the collection is gone; for an article: {outcome, number, text, head of the record, new text (0/1), revision, old text, postings found, edges,
-- sequence}; a landmark pushed out after that sequence may still stand among the texts found
if call('EXISTS', base .. 'm') == 0 then return redis.error_reply('NOCOLLECTION deleted meanwhile') end
refuse_if_full()
local now, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local names, digests, postings = open_table('n'), open_table('d'), open_table('p')
local word_pairs  -- opened where a text has some

-- Posting lists in keys of their own, as far as this call has met them: how many texts they have, the landmarks if that is
-- more than `limit`, texts and landmarks yet to be written. Copies of a hot story in one call share theirs.
local lists = {}
local function write_list(posting, list)
  if list.fresh ~= '' then call('APPEND', base .. 'l' .. posting, list.fresh) end
  if list.moved then call('SET', base .. 'm' .. posting, list.marks) end
  list.fresh, list.moved = '', false
end
local function open_list(posting, first)
  local list = {fresh = '', moved = false}
  if first then
    call('SET', base .. 'l' .. posting, first)
    list.count = #first / 4
  else
    list.count = call('STRLEN', base .. 'l' .. posting) / 4
    if list.count > limit then list.marks = call('GET', base .. 'm' .. posting) end
  end
  lists[posting] = list
  return list
end
local function close_lists()
  for posting, list in pairs(lists) do write_list(posting, list) end
end

-- What every article would change, written once for all: how many articles and texts there are more, who is pending.
local articles_more, texts_more, pending = 0, 0, {}
local function not_pending(n)
  pending[n] = nil
  call('ZREM', base .. 'pending', n)
end
local function close_counts()
  if articles_more ~= 0 then call('HINCRBY', COUNTERS, 'articles', articles_more) end
  if texts_more ~= 0 then call('HINCRBY', COUNTERS, 'texts', texts_more) end
  local members = {'ZADD', base .. 'pending'}
  for n in pairs(pending) do
    members[#members + 1] = now
    members[#members + 1] = n
  end
  if #members > 2 then call(unpack(members)) end
end

-- A text may now be compared with fewer of a list's members: edges to those are deleted. One that is on its way will find the
-- sequence of the eviction.
local function may_have_edge_into(t, members)
  local edges = base .. 'e' .. t
  local count = call('HLEN', edges)
  if count == 0 or count > MANY then return count > 0 end
  for _, o in ipairs(call('HKEYS', edges)) do
    local at = string.find(members, o, 1, true)
    while at and at % 4 ~= 1 do at = string.find(members, o, at + 1, true) end
    if at then return true end
  end
  return false
end
local function prune(t, done, members)
  if done[t] == 'queued' then return end
  if not done[t] then call('HSET', base .. 't' .. t, 'ev', next_sequence()) end
  done[t] = 'evicted'
  if may_have_edge_into(t, members) then
    done[t] = 'queued'
    queue('prune', t)
  end
end

local function add_to_list(index, posting, list, t4, digest, evicted)
  local function members()
    write_list(posting, list)
    return call('GET', base .. 'l' .. posting)
  end
  local function add()
    list.fresh = list.fresh .. t4
    list.count = list.count + 1
  end
  if list.count < limit then
    local known = members()
    add()
    return entry(index, known, '', 0, 0)
  end
  local known
  if list.count == limit then  -- from now on the list is hot
    known = members()
    list.marks = table.concat(landmarks_of(known, limit))
    list.moved = true
    for _, other in ipairs(numbers(known)) do prune(other, evicted, known) end
  end
  local marks, mine = list.marks, sub(digest, 1, 8) .. t4
  local place, out = place_of(marks, mine), 0
  local opened, opens = opening(list.count, limit), opening(list.count + 1, limit)
  local stay = place <= opens and opens - 1 or opens
  if place <= limit or stay < opened then known = known or members() end
  for i = stay + 1, opened do prune(landmark(marks, i), evicted, known) end
  if place <= limit then
    out = landmark(marks, limit)
    list.marks = sub(marks, 1, 12 * place - 12) .. mine .. sub(marks, 12 * place - 11, -13)
    list.moved = true
  end
  add()
  return entry(index, place <= limit and known or '', landmark_numbers(list.marks), out, list.count)
end

local function add_posting(index, key, field, posting, t4, digest, evicted)
  local known = members_of(call('HGET', key, field))
  if known and #known < SHORT and #known < 4 * limit then
    call('HSET', key, field, PACKED .. known .. t4)
    return entry(index, known, '', 0, 0)
  end
  if known then call('HSET', key, field, LISTED) end
  return add_to_list(index, posting, open_list(posting, known), t4, digest, evicted)
end

local function add_pair(field, t4)
  local key = bucket(word_pairs, field)
  local known = call('HGET', key, field)
  if not known then table_set(word_pairs, field, t4)
  elseif known == LISTED then
    if call('STRLEN', base .. 'y' .. field) < 4 * SAME_EVENT then call('APPEND', base .. 'y' .. field, t4) end
  elseif #known < SHORT then call('HSET', key, field, known .. t4)
  else
    call('SET', base .. 'y' .. field, known .. t4)
    call('HSET', key, field, LISTED)
  end
end

local function new_text(digest, id, carrier, blob, told)
  local t = call('HINCRBY', COUNTERS, 't', 1)
  local t4 = packed(t)
  call('HSET', base .. 't' .. t, 'd', digest, 'v', 1, 'i', id, 'c', carrier)
  texts_more = texts_more + 1
  table_set(digests, digest, t4)
  postings.changed = true
  local found = {}
  local fresh = 0
  local evicted, hot = {}, next(lists) ~= nil
  local decimals = tostring(t)
  local prefix, k, p, divisor = postings.prefix, postings.k, postings.p, 2 * postings.p / BUCKETS
  for i = 1, #blob, 6 do
    local list = hot and lists[sub(blob, i, i + 5)]
    if list then found[#found + 1] = add_to_list((i - 1) / 6, sub(blob, i, i + 5), list, t4, digest, evicted)
    else
      local high, low = unpack_struct('>I2I4', blob, i)  -- home(), inline: this loop is most of what the store does
      local b = high + BUCKETS * (low % divisor)
      if b >= k then b = b - p end
      local key, field = prefix .. pack('>I4', b), sub(blob, i + 2, i + 5)
      if call('HSETNX', key, field, decimals) == 1 then fresh = fresh + 1
      else found[#found + 1] = add_posting((i - 1) / 6, key, field, sub(blob, i, i + 5), t4, digest, evicted) end
    end
  end
  postings.e = postings.e + fresh
  if told ~= '' then
    word_pairs = word_pairs or open_table('w')
    make_room(word_pairs, #told / 6)
    for i = 1, #told, 6 do add_pair(sub(told, i, i + 5), t4) end
  end
  return t, table.concat(found)
end

-- The outlet and time that a text came with, before another carrier takes the first place.
local function keep_placement(key, carriers) call('HSETNX', key, 'p', sub(carriers, 5, 20)) end

local function link(t, id, carrier)
  local key = base .. 't' .. t
  local got = call('HMGET', key, 'i', 'c')
  if before(id, got[1]) then
    keep_placement(key, got[2])
    call('HSET', key, 'i', id, 'c', carrier .. got[2])
    invalidate(t)
  else
    call('HSET', key, 'c', got[2] .. carrier)
  end
  dirty(t)
end

local function kill(t, record)
  local key = base .. 't' .. t
  table_delete(digests, call('HGET', key, 'd'))
  local edges = base .. 'e' .. t
  local t4 = packed(t)
  for _, o in ipairs(call('HKEYS', edges)) do
    call('HDEL', base .. 'e' .. number(o), t4)
    dirty(number(o))
  end
  call('DEL', edges)
  call('HSET', key, 'x', 1)
  call('HINCRBY', key, 'v', 1)
  texts_more = texts_more - 1
  call('SET', base .. 'x' .. t, record)
  call('ZREM', base .. 'recheck', t)
  call('ZREM', base .. 'prune', t)
  dirty(t)
  queue('dead', t)
end

local function unlink(t, n, record)
  local key = base .. 't' .. t
  local carriers = call('HGET', key, 'c')
  local n4 = packed(n)
  local kept, first = {}, false
  for i = 1, #carriers, CARRIER do
    if sub(carriers, i, i + 3) == n4 then first = i == 1
    else kept[#kept + 1] = sub(carriers, i, i + CARRIER - 1) end
  end
  if #kept == 0 then return kill(t, record) end
  if first then
    local best, best_id = 1, article_id(number(kept[1]))
    for i = 2, #kept do
      local id = article_id(number(kept[i]))
      if before(id, best_id) then best, best_id = i, id end
    end
    kept[1], kept[best] = kept[best], kept[1]
    keep_placement(key, carriers)
    call('HSET', key, 'i', best_id)
    invalidate(t)
  end
  call('HSET', key, 'c', table.concat(kept))
  dirty(t)
end

local function older(new_version, new_time, version, time)
  if new_version ~= NO_VERSION and version ~= NO_VERSION then return before(new_version, version) end
  if new_time >= 0 and time >= 0 then return new_time < time end
  return false
end

sequence = tonumber(call('HGET', COUNTERS, 'seq') or 0)
local answers = {}
local batch, at = ARGV[3], 1
make_room(postings, #batch / 16)  -- an article of 500 words has 120 postings and about 2,000 bytes
while at <= #batch do
  local hash, status, content, v, vt, flags, digest, carrier, id, blob, payload, told
  hash, status, content, v, vt, flags, digest, carrier, id, blob, payload, told, at =
    unpack_struct('<c12c1c8c8dBc16c' .. (CARRIER - 4) .. 'I4I4I4I4', batch, at)
  id, at = sub(batch, at, at + id - 1), at + id
  blob, at = sub(batch, at, at + blob - 1), at + blob
  payload, at = sub(batch, at, at + payload - 1), at + payload
  told, at = sub(batch, at, at + told - 1), at + told
  local answer
  local n = call('HGET', bucket(names, hash), hash)
  local record, old_text, old_flags, old_content, old_version, old_time, arrived
  if n then
    n = number(n)
    record = call('GET', base .. 'a' .. n)
    old_text, old_flags, old_content, old_version, old_time, arrived = unpack_struct('<I4I4c8c8dd', record)
  end
  local alive = n and bit.band(old_flags, FLAG_TOMBSTONE) == 0

  local function write(number_, text, decided, arrival)
    local head = pack('<I4I4c8c8ddc16', text, flags + decided, content, v, vt, arrival, digest)
    return head
  end

  if n and older(v, vt, old_version, old_time) then
    answer = {'stale', n, old_text, sub(record, 1, HEAD + DECISION), 0, 0, 0, '', {}}
  elseif status == 'c' then
    local edges = {}
    local t = 0
    if alive then
      t = old_text
      if t > 0 then
        edges = call('HGETALL', base .. 'e' .. t)
        unlink(t, n, record)
      end
      articles_more = articles_more - 1
      not_pending(n)
    elseif not n then
      n = call('HINCRBY', COUNTERS, 'a', 1)
      table_set(names, hash, packed(n))
    end
    local kept_version, kept_time = v, vt
    if record and kept_version == NO_VERSION then kept_version = old_version end
    if record and kept_time < 0 then kept_time = old_time end
    local slot = record and sub(record, HEAD + 1, HEAD + DECISION) or string.rep('\0', DECISION)
    local head = pack('<I4I4c8c8ddc16', 0, FLAG_TOMBSTONE, content, kept_version, kept_time, arrived or now, string.rep('\0', 16))
    call('SET', base .. 'a' .. n, head .. slot .. pack('<H', #id) .. id)
    answer = {'canceled', n, t, head .. slot, 0, 0, 0, '', edges}
  elseif alive and old_content == content then
    if v ~= NO_VERSION or vt >= 0 then
      local head = pack('<c8d', v ~= NO_VERSION and v or old_version, vt >= 0 and vt or old_time)
      call('SETRANGE', base .. 'a' .. n, 16, head)
    end
    answer = {'unchanged', n, old_text, sub(record, 1, HEAD + DECISION), 0, 0, 0, '', {}}
  else
    local outcome = 'created'
    local slot = string.rep('\0', DECISION)
    local decided, arrival = 0, now
    if alive then
      outcome, arrival = 'replaced', arrived
      slot = sub(record, HEAD + 1, HEAD + DECISION)
      decided = bit.band(old_flags, FLAG_DECIDED)
    else
      n = call('HINCRBY', COUNTERS, 'a', 1)
      table_set(names, hash, packed(n))
      articles_more = articles_more + 1
    end
    local comparable = bit.band(flags, FLAG_COMPARABLE) == FLAG_COMPARABLE
    local entry_ = packed(n) .. carrier
    local t, found, fresh, previous = 0, '', 0, 0
    if comparable then
      local known = call('HGET', bucket(digests, digest), digest)
      if known then t = number(known) end
    end
    if alive and old_text > 0 and old_text == t then
      -- the same text under another headline, source or time
      local key = base .. 't' .. t
      local got = call('HGET', key, 'c')
      for i = 1, #got, CARRIER do
        if sub(got, i, i + 3) == sub(entry_, 1, 4) then
          if i == 1 then
            keep_placement(key, got)
            invalidate(t)
          end
          call('HSET', key, 'c', sub(got, 1, i - 1) .. entry_ .. sub(got, i + CARRIER))
        end
      end
      dirty(t)
    else
      if alive and old_text > 0 then
        previous = old_text
        unlink(old_text, n, record)
      end
      if comparable then
        if t > 0 then link(t, id, entry_)
        else
          t, found = new_text(digest, id, entry_, blob, told)
          fresh = 1
        end
      end
    end
    local head = write(n, t, decided, arrival)
    call('SET', base .. 'a' .. n, head .. slot .. pack('<H', #id) .. id .. payload)
    local revision = 0
    if t > 0 then
      revision = fresh == 1 and 1 or tonumber(call('HGET', base .. 't' .. t, 'v'))
      pending[n] = true
    end
    answer = {outcome, n, t, head .. slot, fresh, revision, previous, found, {}}
  end
  answer[10] = sequence
  answers[#answers + 1] = answer
end
close_lists()
close_tables()
close_counts()
return answers
