-- Look the postings of a text up without storing anything.
-- ARGV: the text's number or 0, its digest, landmarks of a posting, postings (6 bytes each)
-- Answer: {sequence, entries as in common.lua}; the text itself is left out.
local t, digest, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local blob = ARGV[4]
local t4 = packed(t)
local postings = open_table('p')
local found = {}
local index = 0
for i = 1, #blob, 6 do
  local field = sub(blob, i, i + 5)
  local v = call('HGET', bucket(postings, field), field)
  if v then
    if #v > 1 then
      local others = t > 0 and without(v, t4) or v
      if #others > 0 then found[#found + 1] = entry(index, others, '', 0) end
    else
      local list = base .. 'l' .. field
      local count = call('STRLEN', list) / 4
      local marks = count > limit and call('GET', base .. 'm' .. field)
      if not marks then
        found[#found + 1] = entry(index, without(call('GET', list), t4), '', 0)
      else
        local numbers = landmark_numbers(marks)
        if before(sub(digest, 1, 8) .. t4, sub(marks, -12)) or sub(marks, -12) == sub(digest, 1, 8) .. t4 then
          found[#found + 1] = entry(index, without(call('GET', list), t4), numbers, 0)
        else
          found[#found + 1] = entry(index, numbers, numbers, 0)
        end
      end
    end
  end
  index = index + 1
end
return {tonumber(call('HGET', COUNTERS, 'seq') or 0), table.concat(found)}
