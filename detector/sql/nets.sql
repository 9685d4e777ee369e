
-- 3. What follows from them. Addresses are compared as 128 bits in text, so that a prefix is the beginning of it.
CREATE OR REPLACE VIEW kt_net AS
SELECT kind, account_id, service, is_ours, len, substr({bits:substr(net, 1, position('/' IN net) - 1)}, 1, len) AS prefix
FROM (
	SELECT kind, account_id, service, is_ours, net,
		{integer:substr(net, position('/' IN net) + 1)} + CASE WHEN position(':' IN net) = 0 THEN 96 ELSE 0 END AS len
	FROM (
		SELECT kind, account_id, '' AS service, CASE WHEN account_id <> '' THEN 1 ELSE 0 END AS is_ours,
			CASE WHEN position('/' IN value) > 0 THEN value WHEN position(':' IN value) > 0 THEN {join:value, '/128'}
			ELSE {join:value, '/32'} END AS net
		FROM kt_inventory WHERE kind IN ('egress', 'networks', 'addresses', 'trusted', 'closed')
		UNION ALL
		SELECT 'range', '', service, 0, net FROM kt_range
	) x
) y;
CREATE OR REPLACE VIEW kt_endpoint AS SELECT value AS endpoint_id, account_id FROM kt_inventory WHERE kind = 'endpoints';
CREATE OR REPLACE VIEW kt_trusted_endpoint AS SELECT DISTINCT value AS endpoint_id FROM kt_inventory WHERE kind = 'trusted_endpoints';
CREATE OR REPLACE VIEW kt_account AS SELECT DISTINCT account_id FROM kt_inventory WHERE kind = 'account';
CREATE OR REPLACE VIEW kt_key AS
SELECT access_key_id, {max_by}(home_account, -moment) AS home_account, {max_by}(instance_id, -moment) AS instance_id,
	{max_by}(expires_at, -moment) AS expires_at
FROM kt_delivery WHERE access_key_id <> '' AND outcome <> 'refused'
GROUP BY access_key_id;
CREATE OR REPLACE VIEW kt_turn AS
SELECT row_id, instance_id, account_id, moment AS from_at, lead(moment) OVER (PARTITION BY instance_id ORDER BY moment) AS until_at,
	CASE WHEN row_number() OVER (PARTITION BY instance_id ORDER BY moment) = 1 THEN 1 ELSE 0 END AS is_first
FROM kt_placement;
CREATE OR REPLACE VIEW kt_place AS
SELECT instance_id, account_id, from_at, until_at, is_first, len,
	substr({bits:substr(net, 1, position('/' IN net) - 1)}, 1, len) AS prefix
FROM (
	SELECT t.instance_id AS instance_id, t.account_id AS account_id, t.from_at AS from_at, t.until_at AS until_at,
		t.is_first AS is_first, net,
		{integer:substr(net, position('/' IN net) + 1)} + CASE WHEN position(':' IN net) = 0 THEN 96 ELSE 0 END AS len
	FROM kt_turn t JOIN (
		SELECT row_id, CASE WHEN position('/' IN address) > 0 THEN address
			WHEN position(':' IN address) > 0 THEN {join:address, '/128'} ELSE {join:address, '/32'} END AS net
		FROM kt_placement_address
	) a ON t.row_id = a.row_id
) y;
CREATE OR REPLACE VIEW kt_owner AS
SELECT t.instance_id AS instance_id, t.from_at AS from_at, t.until_at AS until_at, t.is_first AS is_first,
	o.account_id AS account_id
FROM kt_turn t JOIN kt_placement_owner o ON t.row_id = o.row_id;

