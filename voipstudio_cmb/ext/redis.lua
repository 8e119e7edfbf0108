-- What `shared.Allowance` computes, on this server's clock. Times are in microseconds.
--
-- KEYS   state: when the next grant is due, until when all are held, the size of the log, the last
--        time, n and period; log: the names of grants by when they are used; line: processes by when they ask
-- ARGV   n, period, whether a missing state counts as a period spent (1 or 0), grace, how long
--        others' rate counts, process, number, count, lease, hold, how many grants were not used,
--        the names of those, and names of late ones, each followed by how late it was
-- Returns how many may be used now, and after how long to ask for the others; or n and period of
-- those who share the key, and 1, if theirs are others.

local state, log, line = KEYS[1], KEYS[2], KEYS[3]
local n, period, spent, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local other_rate, process, number = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local count, lease, hold, unused = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local interval = period / n
local credit = math.max(2, n / 10) * interval

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function whole(value) -- as text with all its digits, which tostring would round
  return string.format('%.0f', value)
end

local known = redis.call('HMGET', state, 'due', 'held', 'size', 'at', 'n', 'period')
local due, held = tonumber(known[1]), tonumber(known[2])
local back_in_time = known[4] and tonumber(known[4]) > now
local other = known[5] and (tonumber(known[5]) ~= n or tonumber(known[6]) ~= period)
if other and now - known[4] < math.max(tonumber(known[6]), period, other_rate) and not back_in_time then
  return {tonumber(known[5]), tonumber(known[6]), 1}
end
if not known[3] or redis.call('ZCARD', log) ~= tonumber(known[3]) or back_in_time or other then
  redis.call('DEL', state, log, line)
  due, held = 0, (spent or back_in_time) and now + period or 0
end

for index = 12, 11 + unused do
  if redis.call('ZREM', log, ARGV[index]) == 1 then due = due - interval end
end
for index = 12 + unused, #ARGV, 2 do
  redis.call('ZADD', log, 'XX', 'INCR', ARGV[index + 1], ARGV[index])
end
redis.call('ZREMRANGEBYSCORE', log, '-inf', whole(now - period))
if hold > 0 then held = math.max(held, now + hold) end
redis.call('ZREM', line, process)

local function next_grant(others) -- when one can be made, after so many others
  local size = redis.call('ZCARD', log)
  local before, full = size + others - n, 0
  if before >= size then
    full = next_grant(others - n) + period
  elseif before >= 0 then
    full = tonumber(redis.call('ZRANGE', log, before, before, 'WITHSCORES')[2]) + period
  end
  return math.max(held, due + others * interval, full)
end

local granted, wait = 0, 0
local together = lease > 1 and math.min(lease, count) or count
while granted < together and next_grant(0) <= now do
  due = math.max(due, now - credit) + interval
  redis.call('ZADD', log, whole(now), process .. ':' .. number .. ':' .. granted)
  granted = granted + 1
end
if granted < count then
  -- Who should have asked by now is busy, or dead: it is not waited for.
  redis.call('ZREMRANGEBYSCORE', line, '-inf', '(' .. whole(now))
  lease = math.min(lease, math.max(1, math.floor(n / 10))) -- more are never due at once
  local before = redis.call('ZCARD', line) * lease + lease - 1
  local at = math.min(next_grant(before), next_grant(0) + grace)
  redis.call('ZADD', line, whole(at), process)
  wait = math.ceil(at - now)
end

redis.call('HSET', state, 'due', whole(due), 'held', whole(held), 'size', redis.call('ZCARD', log), 'at', whole(now),
  'n', n, 'period', whole(period))
-- Longer than a night without requests, or each would begin with a period spent.
local kept = math.ceil((math.max(2 * period, held - now) + 86400000000 * 2) / 1000)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, whole(kept)) end
return {granted, wait}
