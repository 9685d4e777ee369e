-- SPDX-License-Identifier: Apache-2.0
-- For wrk: a line of numbers at the end. WRK_METHOD and WRK_TTL make it a PUT of a token.
wrk.method = os.getenv("WRK_METHOD") or "GET"
if os.getenv("WRK_TTL") then
	wrk.headers["X-aws-ec2-metadata-token-ttl-seconds"] = os.getenv("WRK_TTL")
end

-- Median, 99th and 99.9th percentile in microseconds; requests; requests a second; requests that went wrong.
function done(summary, latency, requests)
	local errors = summary.errors
	io.write(string.format("RESULT\t%d\t%d\t%d\t%d\t%d\t%d\n", latency:percentile(50), latency:percentile(99),
		latency:percentile(99.9), summary.requests, summary.requests / (summary.duration / 1000000),
		errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
