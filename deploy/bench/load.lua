-- SPDX-License-Identifier: Apache-2.0
-- For wrk: headers and requests from the file LOAD_PLAN; one line of JSON at the end.
-- A request is `METHOD PATH BODY`. With LOAD_ONCE each is sent once, in order.

local headers, asked, in_headers = {}, {}, true
local once = os.getenv("LOAD_ONCE") == "1"
for line in io.lines(os.getenv("LOAD_PLAN")) do
  if in_headers and line == "" then
    in_headers = false
  elseif in_headers then
    local name, value = line:match("^(.-): (.*)$")
    headers[name] = value
  else
    asked[#asked + 1] = line
  end
end

-- Formatted once each: the client must not be what is measured.
local requests = {}

function init()
  for i, line in ipairs(asked) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    requests[i] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
  math.randomseed(1)
end

local sent = 0

function request()
  if not once then
    return requests[math.random(#requests)]
  end
  -- Beyond the last the first come again: the caller sees that by the count.
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
