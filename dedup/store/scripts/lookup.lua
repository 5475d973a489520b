-- Look the postings of texts up without storing anything.
-- ARGV: landmarks of a posting, then for each text: its number, or one that no text has: then as if it came now; its digest; its
--   postings (6 bytes each)
-- Answer: the sequence of this moment, then for each text entries as in common.lua; the text itself is left out.
local limit = tonumber(ARGV[1])
local postings = open_table('p')

local function look_up(t, digest, blob)
  local t4 = packed(t)
  local mine = sub(digest, 1, 8) .. t4
  local found = {}
  local stored = call('EXISTS', base .. 't' .. t) == 1

  -- A list that is hot, or would be with one more, as ingest.lua would answer for a text that comes now.
  local function on_arrival(index, members, marks, count)
    marks = marks or table.concat(landmarks_of(members(), limit))
    local place = place_of(marks, mine)
    if place > limit then return entry(index, '', landmark_numbers(marks), 0, count) end
    local numbers = landmark_numbers(sub(marks, 1, 12 * place - 12) .. mine .. sub(marks, 12 * place - 11, -13))
    return entry(index, members(), numbers, landmark(marks, limit), count)
  end

  local function from_list(index, field)
    local list = base .. 'l' .. field
    local count = call('STRLEN', list) / 4
    local marks = count > limit and call('GET', base .. 'm' .. field)
    local function members() return call('GET', list) end
    if not stored and count >= limit then return on_arrival(index, members, marks, count + 1) end
    if not marks then return entry(index, without(members(), t4), '', 0, 0) end
    local numbers = landmark_numbers(marks)
    return entry(index, place_of(marks, mine) <= limit and without(members(), t4) or '', numbers, 0, count)
  end

  local alone = tostring(t)  -- what most postings have: the text itself
  local prefix, k, p, divisor = postings.prefix, postings.k, postings.p, 2 * postings.p / BUCKETS
  for i = 1, #blob, 6 do
    local high, low = unpack_struct('>I2I4', blob, i)  -- home(), inline as in ingest.lua
    local b = high + BUCKETS * (low % divisor)
    if b >= k then b = b - p end
    local v = call('HGET', prefix .. pack('>I4', b), sub(blob, i + 2, i + 5))
    if v and v ~= alone then
      local index, members = (i - 1) / 6, members_of(v)
      if members then
        local others = without(members, t4)
        if #others > 0 then found[#found + 1] = entry(index, others, '', 0, 0) end
      else
        found[#found + 1] = from_list(index, sub(blob, i, i + 5))
      end
    end
  end
  return table.concat(found)
end

local answers = {tonumber(call('HGET', COUNTERS, 'seq') or 0)}
for i = 2, #ARGV, 3 do answers[#answers + 1] = look_up(tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]) end
return answers
