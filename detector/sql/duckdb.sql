-- Keytrail's question for DuckDB: which keys of our ledgers were used where they should not be?

-- An address as 32 hexadecimal digits, those of IPv4 as ::ffff:a.b.c.d; NULL for what is none.
CREATE OR REPLACE MACRO kt_byte(n) AS lpad(lower(hex(CAST(n AS INTEGER))), 2, '0');
CREATE OR REPLACE MACRO kt_groups(a) AS list_filter(string_split(a, ':'), x -> x <> '');
CREATE OR REPLACE MACRO kt_hex(a) AS CASE
	WHEN regexp_full_match(a, '((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|$)){4}') AND a NOT LIKE '%.'
	THEN concat('00000000000000000000ffff', kt_byte(split_part(a, '.', 1)), kt_byte(split_part(a, '.', 2)),
		kt_byte(split_part(a, '.', 3)), kt_byte(split_part(a, '.', 4)))
	WHEN regexp_full_match(a, '[0-9A-Fa-f:]+') AND a LIKE '%::%' AND len(kt_groups(a)) < 8
	THEN array_to_string(list_transform(list_concat(kt_groups(split_part(a, '::', 1)),
		list_transform(range(8 - len(kt_groups(a))), x -> '0'), kt_groups(split_part(a, '::', 2))),
		x -> lpad(lower(x), 4, '0')), '')
	WHEN regexp_full_match(a, '[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){7}')
	THEN array_to_string(list_transform(kt_groups(a), x -> lpad(lower(x), 4, '0')), '')
	END;

-- 1. Where things are. CloudTrail as it lies, the ledgers' lines (`keytrail ledger export`, or what [ledger] jsonl wrote),
--    and AWS's ip-ranges.json. Files, or s3:// with the extension httpfs.
CREATE OR REPLACE VIEW kt_record AS
SELECT coalesce(json_extract_string(r, '$.eventID'), '') AS event_id, coalesce(json_extract_string(r, '$.eventTime'), json_extract_string(r, '$."@timestamp"'), '') AS event_time,
	coalesce(json_extract_string(r, '$.userIdentity.accessKeyId'), '') AS access_key_id,
	coalesce(json_extract_string(r, '$.userIdentity.accountId'), '') AS account_id,
	coalesce(json_extract_string(r, '$.userIdentity.invokedBy'), '') AS invoked_by,
	coalesce(json_extract_string(r, '$.userIdentity.sessionContext.sessionIssuer.arn'), '') AS issuer_arn,
	coalesce(json_extract_string(r, '$.sourceIPAddress'), '') AS source, coalesce(json_extract_string(r, '$.vpcEndpointId'), '') AS endpoint_id,
	coalesce(json_extract_string(r, '$.vpcEndpointAccountId'), '') AS endpoint_account, coalesce(json_extract_string(r, '$.errorCode'), '') AS error
FROM (
	SELECT unnest(CASE WHEN json_extract(json, '$.Records') IS NOT NULL THEN CAST(json_extract(json, '$.Records') AS JSON[]) ELSE [json] END) AS r
	FROM {trail}
) t;
CREATE OR REPLACE VIEW kt_row AS SELECT json FROM {export};
CREATE OR REPLACE VIEW kt_delivery AS
SELECT coalesce(json_extract_string(json, '$.access_key_id'), '') AS access_key_id, coalesce(json_extract_string(json, '$.host.account_id'), '') AS home_account,
	coalesce(json_extract_string(json, '$.host.instance_id'), '') AS instance_id, coalesce(json_extract_string(json, '$.outcome'), '') AS outcome,
	{epoch:json_extract_string(json, '$.delivered_at')} AS moment, {epoch:json_extract_string(json, '$.expires_at')} AS expires_at
FROM kt_row WHERE json_extract_string(json, '$.kind') = 'delivery';
CREATE OR REPLACE VIEW kt_placement AS
SELECT json_extract_string(json, '$.id') AS row_id, coalesce(json_extract_string(json, '$.instance_id'), '') AS instance_id,
	coalesce(json_extract_string(json, '$.account_id'), '') AS account_id, {epoch:json_extract_string(json, '$.at')} AS moment
FROM kt_row WHERE json_extract_string(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_address AS
SELECT json_extract_string(json, '$.id') AS row_id, unnest(CAST(json_extract(json, '$.addresses') AS VARCHAR[])) AS address
FROM kt_row WHERE json_extract_string(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_owner AS
SELECT json_extract_string(json, '$.id') AS row_id, unnest(CAST(json_extract(json, '$.owner_ids') AS VARCHAR[])) AS account_id
FROM kt_row WHERE json_extract_string(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_range AS
SELECT json_extract_string(p, '$.service') AS service, coalesce(json_extract_string(p, '$.ip_prefix'), json_extract_string(p, '$.ipv6_prefix')) AS net
FROM (
	SELECT unnest(list_concat(CAST(json_extract(json, '$.prefixes') AS JSON[]), CAST(json_extract(json, '$.ipv6_prefixes') AS JSON[]))) AS p
	FROM {ranges}
) t;

-- 2. What is ours, from inventory.json, and the networks that are nobody's.
