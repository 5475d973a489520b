-- Take a dead text out of its posting lists.
-- ARGV: text, landmarks of a posting, postings (6 bytes each)
-- Answer: entries as in common.lua of what is left in each list; the landmark that moved up stands in the fourth number.
refuse_if_full()
local t, limit, blob = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local key = base .. 't' .. t
local digest = call('HGET', key, 'd')
if not digest or call('HEXISTS', key, 'x') == 0 then return '' end
local t4 = packed(t)
local postings = open_table('p')
postings.changed = true
local found = {}
local index = 0

-- A list that is no longer hot: what its texts could not be compared with for that reason, they can be now.
local function cooled(members)
  for _, other in ipairs(numbers(members)) do invalidate(other) end
end

local function from_list(field)
  local list, marks_key = base .. 'l' .. field, base .. 'm' .. field
  local members = without(call('GET', list), t4)
  call('SET', list, members)
  local marks = call('GET', marks_key)
  if not marks then return entry(index, members, '', 0, 0) end
  local count, promoted = #members / 4, 0
  local mine = sub(digest, 1, 8) .. t4
  local place = place_of(marks, mine)
  local is_landmark = sub(marks, 12 * place - 11, 12 * place) == mine
  if is_landmark then
    marks = table.concat(landmarks_of(members, limit))
    if count >= limit then promoted = landmark(marks, limit) end
  end
  if count <= limit then
    call('DEL', marks_key)
    cooled(members)
    if not is_landmark then return entry(index, members, '', 0, 0) end
  else
    if is_landmark then call('SET', marks_key, marks) end
    local opened = opening(count + 1, limit)
    if place <= opened then opened = opened - 1 end
    for i = opened + 1, opening(count, limit) do invalidate(landmark(marks, i)) end
  end
  return entry(index, '', landmark_numbers(marks), promoted, count)
end

for i = 1, #blob, 6 do
  local key_, field = home(postings, blob, i)
  local v = call('HGET', key_, field)
  local members = v and members_of(v)
  if members then
    local others = without(members, t4)
    if #others == 0 then
      call('HDEL', key_, field)
      postings.e = postings.e - 1
    elseif #others < #members then
      call('HSET', key_, field, value_of(others))
      found[#found + 1] = entry(index, others, '', 0, 0)
    end
  elseif v then
    found[#found + 1] = from_list(sub(blob, i, i + 5))
  end
  index = index + 1
end
close_tables()
call('DEL', key, base .. 'x' .. t)
call('ZREM', base .. 'dead', t)
call('ZREM', base .. 'dirty', t)
call('ZREM', base .. 'recheck', t)
call('ZREM', base .. 'prune', t)
return table.concat(found)
