-- Look the postings of a text up without storing anything.
-- ARGV: the text's number, or one that no text has: then as if it came now; its digest, landmarks of a posting, postings (6 bytes each)
-- Answer: {sequence, entries as in common.lua}; the text itself is left out.
local t, digest, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local blob = ARGV[4]
local t4 = packed(t)
local mine = sub(digest, 1, 8) .. t4
local postings = open_table('p')
local found = {}
local index = 0
local stored = call('EXISTS', base .. 't' .. t) == 1

-- A list that is hot, or would be with one more, as ingest.lua would answer for a text that comes now.
local function on_arrival(members, marks, count)
  marks = marks or table.concat(landmarks_of(members(), limit))
  if not before(mine, sub(marks, -12)) then
    local numbers = landmark_numbers(marks)
    return entry(index, '', numbers, 0, count)
  end
  local place = 1
  while before(sub(marks, place, place + 11), mine) do place = place + 12 end
  local numbers = landmark_numbers(sub(marks, 1, place - 1) .. mine .. sub(marks, place, -13))
  return entry(index, members(), numbers, number(sub(marks, -4)), count)
end

local function from_list(field)
  local list = base .. 'l' .. field
  local count = call('STRLEN', list) / 4
  local marks = count > limit and call('GET', base .. 'm' .. field)
  local function members() return call('GET', list) end
  if not stored and count >= limit then return on_arrival(members, marks, count + 1) end
  if not marks then return entry(index, without(members(), t4), '', 0, 0) end
  local numbers = landmark_numbers(marks)
  local last = sub(marks, -12)
  if before(mine, last) or mine == last then return entry(index, without(members(), t4), numbers, 0, count) end
  return entry(index, '', numbers, 0, count)
end

for i = 1, #blob, 6 do
  local v = call('HGET', home(postings, blob, i))
  if v then
    local members = members_of(v)
    if members then
      local others = without(members, t4)
      if #others > 0 then found[#found + 1] = entry(index, others, '', 0, 0) end
    else
      found[#found + 1] = from_list(sub(blob, i, i + 5))
    end
  end
  index = index + 1
end
return {tonumber(call('HGET', COUNTERS, 'seq') or 0), table.concat(found)}
