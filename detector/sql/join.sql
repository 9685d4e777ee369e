-- 4. The question: which keys of the ledger were used where they should not be? One row a finding, as `keytrail detect`
--    has it: type, key and remote party. The ladder of evidence is that of docs/findings.md.
WITH
used AS (
	-- Each event once, however many files tell of it, with what the ledger knows of its key.
	SELECT r.event_id AS event_id, max(r.event_time) AS event_time, max({epoch:r.event_time}) AS moment,
		max(r.access_key_id) AS access_key_id, max(r.source) AS source, max({bits:r.source}) AS bits,
		max(r.endpoint_id) AS endpoint_id,
		max(CASE WHEN {regexp}(r.endpoint_account, '^[0-9]{12}$') THEN r.endpoint_account ELSE '' END) AS endpoint_account,
		max(CASE WHEN {aws:r.invoked_by} OR r.issuer_arn LIKE '%:role/aws:ec2-infrastructure' THEN 1 ELSE 0 END) AS by_aws,
		max(CASE WHEN {aws:r.source} THEN 1 ELSE 0 END) AS aws_source,
		max(CASE WHEN {aws:r.endpoint_id} OR ({aws:r.endpoint_account} AND {good:r.endpoint_id}) THEN 1 ELSE 0 END) AS aws_endpoint,
		max(CASE WHEN {good:r.endpoint_id} THEN 1 ELSE 0 END) AS good_endpoint,
		max(r.error) AS error, max(k.instance_id) AS instance_id, max(k.expires_at) AS expires_at,
		max(CASE WHEN k.home_account <> '' THEN k.home_account ELSE r.account_id END) AS home
	FROM kt_record r JOIN kt_key k ON r.access_key_id = k.access_key_id
	GROUP BY r.event_id
),
place AS (
	-- Where the instance was at that time, give or take ten minutes; before the first place, the first one counts.
	SELECT u.event_id AS event_id, max(CASE WHEN substr(u.bits, 1, p.len) = p.prefix THEN 1 ELSE 0 END) AS is_inside
	FROM used u JOIN kt_place p ON u.instance_id = p.instance_id
	WHERE (p.until_at IS NULL OR p.until_at + 600 >= u.moment) AND (p.is_first = 1 OR p.from_at <= u.moment + 600)
	GROUP BY u.event_id
),
owner AS (
	-- A shared VPC: the endpoint is that of an account that owns one of the instance's interfaces.
	SELECT u.event_id AS event_id, 1 AS is_owner
	FROM used u JOIN kt_owner o ON u.instance_id = o.instance_id
	WHERE (o.until_at IS NULL OR o.until_at + 600 >= u.moment) AND (o.is_first = 1 OR o.from_at <= u.moment + 600)
		AND o.account_id = u.endpoint_account
	GROUP BY u.event_id
),
sources AS (
	SELECT DISTINCT bits, home FROM used WHERE bits IS NOT NULL
),
network AS (
	-- Whose networks each address lies in: the longest prefix decides.
	SELECT s.bits AS bits, s.home AS home,
		max(CASE WHEN n.kind = 'trusted' THEN 1 ELSE 0 END) AS is_trusted,
		max(CASE WHEN n.kind = 'closed' THEN 1 ELSE 0 END) AS is_closed,
		max(CASE WHEN n.kind = 'range' AND n.service IN ('EC2', 'CODEBUILD') THEN n.len ELSE -1 END) AS ec2_len,
		max(CASE WHEN n.kind = 'range' THEN n.len ELSE -1 END) AS range_len,
		{max_by}(n.kind, CASE WHEN n.is_ours = 1 AND n.account_id = s.home THEN n.len ELSE -1 END) AS home_kind,
		max(CASE WHEN n.is_ours = 1 AND n.account_id = s.home THEN n.len ELSE -1 END) AS home_len,
		{max_by}(n.account_id, CASE WHEN n.is_ours = 1 THEN n.len ELSE -1 END) AS owner,
		max(CASE WHEN n.is_ours = 1 THEN n.len ELSE -1 END) AS owner_len
	FROM sources s CROSS JOIN kt_net n
	WHERE substr(s.bits, 1, n.len) = n.prefix
	GROUP BY s.bits, s.home
),
machine AS (
	-- Another machine of a ledger that had the address then; of several the one that had it last.
	SELECT u.event_id AS event_id, {max_by}(p.account_id, p.from_at) AS account_id
	FROM used u JOIN kt_place p ON u.bits = p.prefix
	WHERE p.instance_id <> u.instance_id AND p.from_at - 600 <= u.moment
		AND (p.until_at IS NULL OR u.moment <= p.until_at + 600)
	GROUP BY u.event_id
),
judged AS (
	SELECT u.event_id AS event_id, u.event_time AS event_time, u.moment AS moment, u.access_key_id AS access_key_id,
		u.error AS error, u.expires_at AS expires_at, u.endpoint_id AS endpoint_id, u.source AS source, u.home AS home,
		u.endpoint_account AS endpoint_account, e.account_id AS endpoint_owner,
		CASE WHEN coalesce(n.owner_len, -1) >= 0 AND n.owner <> u.home THEN n.owner ELSE m.account_id END AS owner,
		CASE
		WHEN u.by_aws = 1 OR u.aws_endpoint = 1 OR (u.endpoint_id = '' AND u.aws_source = 1) THEN 'aws'
		WHEN u.endpoint_id <> '' AND u.good_endpoint = 0 THEN 'unknown'
		WHEN u.endpoint_id <> '' AND (t.endpoint_id IS NOT NULL OR e.account_id = u.home) THEN 'home 0'
		WHEN u.endpoint_id <> '' AND u.endpoint_account <> '' AND u.home <> ''
			AND (u.endpoint_account = u.home OR o.is_owner = 1) THEN 'home 0'
		WHEN u.endpoint_id <> '' AND u.endpoint_account <> '' AND u.home <> '' THEN 'inside 1'
		WHEN u.endpoint_id <> '' AND e.account_id IS NOT NULL THEN 'inside 2'
		WHEN u.endpoint_id <> '' AND u.endpoint_account = '' AND (u.aws_source = 1
			OR (length(u.endpoint_id) = 13 AND u.bits IS NOT NULL AND coalesce(n.is_closed, 0) = 0)) THEN 'aws'
		WHEN u.endpoint_id <> '' THEN 'inside 2'
		WHEN u.source = '' THEN 'unknown'
		WHEN u.bits IS NULL AND p.event_id IS NULL THEN 'unknown'
		WHEN u.bits IS NULL THEN 'elsewhere 7'
		WHEN coalesce(p.is_inside, 0) = 1 OR coalesce(n.is_trusted, 0) = 1 THEN 'home 0'
		WHEN coalesce(n.home_len, -1) >= 0 AND n.home_kind = 'addresses' AND p.event_id IS NOT NULL THEN 'elsewhere 4'
		WHEN coalesce(n.home_len, -1) >= 0 AND n.home_kind = 'addresses' THEN 'home 4'
		WHEN coalesce(n.home_len, -1) >= 0 THEN 'home 0'
		WHEN coalesce(n.is_closed, 0) = 1 AND p.event_id IS NULL THEN 'unknown'
		WHEN coalesce(n.is_closed, 0) = 1 THEN 'elsewhere 7'
		WHEN coalesce(n.owner_len, -1) >= 0 AND n.owner <> u.home THEN 'inside 4'
		WHEN coalesce(m.account_id, '') <> '' AND u.home <> '' AND m.account_id <> u.home THEN 'inside 4'
		WHEN coalesce(m.account_id, '') <> '' AND u.home <> '' THEN 'elsewhere 4'
		WHEN coalesce(n.ec2_len, -1) >= 0 AND n.ec2_len = n.range_len THEN 'inside 5'
		ELSE 'outside 6'
		END AS verdict
	FROM used u
	LEFT JOIN kt_endpoint e ON u.endpoint_id = e.endpoint_id
	LEFT JOIN kt_trusted_endpoint t ON u.endpoint_id = t.endpoint_id
	LEFT JOIN place p ON u.event_id = p.event_id
	LEFT JOIN machine m ON u.event_id = m.event_id
	LEFT JOIN owner o ON u.event_id = o.event_id
	LEFT JOIN network n ON u.bits = n.bits AND u.home = n.home
),
named AS (
	SELECT j.*, coalesce(CASE j.verdict WHEN 'inside 1' THEN j.endpoint_account WHEN 'inside 2' THEN j.endpoint_owner
		WHEN 'inside 4' THEN j.owner WHEN 'elsewhere 4' THEN j.home END, '') AS account
	FROM judged j
),
held AS (
	-- What the rules hold against a use, with the severity as a number: 1 is LOW, 2 MEDIUM, 3 HIGH.
	SELECT n.event_id AS event_id, n.event_time AS event_time, n.access_key_id AS access_key_id, n.error AS error,
		n.verdict AS verdict, n.account AS account,
		CASE WHEN n.account <> '' THEN n.account WHEN n.endpoint_id <> '' THEN n.endpoint_id ELSE n.source END AS party,
		CASE WHEN n.verdict LIKE 'inside%' THEN 'InstanceCredentialExfiltration.InsideAWS'
			WHEN n.verdict LIKE 'outside%' THEN 'InstanceCredentialExfiltration.OutsideAWS'
			ELSE 'InstanceCredentialExfiltration.OtherInstance' END AS type,
		CASE WHEN n.verdict LIKE 'elsewhere%' OR n.verdict = 'inside 5' OR a.account_id IS NOT NULL THEN 2 ELSE 3 END AS severity
	FROM named n LEFT JOIN kt_account a ON n.account = a.account_id
	WHERE n.verdict LIKE 'inside%' OR n.verdict LIKE 'outside%' OR n.verdict LIKE 'elsewhere%'
	UNION ALL
	SELECT n.event_id, n.event_time, n.access_key_id, n.error, n.verdict, n.account,
		CASE WHEN n.account <> '' THEN n.account WHEN n.endpoint_id <> '' THEN n.endpoint_id ELSE n.source END,
		'InstanceCredentialUse.AfterExpiry', 1
	FROM named n
	WHERE n.expires_at IS NOT NULL AND n.moment > n.expires_at + 300 AND n.verdict <> 'aws'
)
SELECT h.type AS type, CASE max(h.severity) WHEN 3 THEN 'HIGH' WHEN 2 THEN 'MEDIUM' ELSE 'LOW' END AS severity,
	h.access_key_id AS access_key_id, h.party AS party, max(h.account) AS remote_account_id,
	min(CASE WHEN h.verdict LIKE '% 0' THEN 0 WHEN h.verdict LIKE '% 1' THEN 1 WHEN h.verdict LIKE '% 2' THEN 2
		WHEN h.verdict LIKE '% 4' THEN 4 WHEN h.verdict LIKE '% 5' THEN 5 WHEN h.verdict LIKE '% 6' THEN 6 ELSE 7 END) AS rung,
	count(*) AS uses, sum(CASE WHEN h.error <> '' THEN 1 ELSE 0 END) AS errors,
	min(h.event_time) AS first_seen, max(h.event_time) AS last_seen
FROM held h
GROUP BY h.type, h.access_key_id, h.party
ORDER BY max(h.severity) DESC, min(h.event_time), h.type, h.access_key_id, h.party{settings};
