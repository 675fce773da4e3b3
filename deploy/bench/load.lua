-- SPDX-License-Identifier: Apache-2.0
-- For wrk: headers and paths from the file LOAD_PLAN; one line of JSON at the end.

local headers, paths, in_headers = {}, {}, true
for line in io.lines(os.getenv("LOAD_PLAN")) do
  if in_headers and line == "" then
    in_headers = false
  elseif in_headers then
    local name, value = line:match("^(.-): (.*)$")
    headers[name] = value
  else
    paths[#paths + 1] = line
  end
end

-- Formatted once each: the client must not be what is measured.
local requests = {}

function init()
  for i, path in ipairs(paths) do
    requests[i] = wrk.format("GET", path, headers)
  end
  math.randomseed(1)
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
