-- Keytrail's question for ClickHouse: which keys of our ledgers were used where they should not be?
-- Run as it stands: clickhouse client --multiquery < this, or clickhouse local. Needs ClickHouse 23.8 or later.

-- 1. Where things are. CloudTrail as it lies, the ledgers' lines (`keytrail ledger export`, or what [ledger] jsonl wrote),
--    and AWS's ip-ranges.json. Files or s3(); credentials as ClickHouse takes them. A trail of months wants a table of
--    its own: CREATE TABLE ... ENGINE = MergeTree ORDER BY access_key_id AS SELECT * FROM kt_record.
CREATE OR REPLACE VIEW kt_record AS
SELECT JSONExtractString(r, 'eventID') AS event_id, if(JSONHas(r, 'eventTime'), JSONExtractString(r, 'eventTime'), JSONExtractString(r, '@timestamp')) AS event_time,
	JSONExtractString(r, 'userIdentity', 'accessKeyId') AS access_key_id,
	JSONExtractString(r, 'userIdentity', 'accountId') AS account_id,
	JSONExtractString(r, 'userIdentity', 'invokedBy') AS invoked_by,
	JSONExtractString(r, 'userIdentity', 'sessionContext', 'sessionIssuer', 'arn') AS issuer_arn,
	JSONExtractString(r, 'sourceIPAddress') AS source, JSONExtractString(r, 'vpcEndpointId') AS endpoint_id,
	JSONExtractString(r, 'vpcEndpointAccountId') AS endpoint_account, JSONExtractString(r, 'errorCode') AS error
FROM (
	SELECT arrayJoin(if(JSONHas(json, 'Records'), JSONExtractArrayRaw(json, 'Records'), [json])) AS r
	FROM {trail}
);
CREATE OR REPLACE VIEW kt_row AS SELECT json FROM {export};
CREATE OR REPLACE VIEW kt_delivery AS
SELECT JSONExtractString(json, 'access_key_id') AS access_key_id, JSONExtractString(json, 'host', 'account_id') AS home_account,
	JSONExtractString(json, 'host', 'instance_id') AS instance_id, JSONExtractString(json, 'outcome') AS outcome,
	{epoch:JSONExtractString(json, 'delivered_at')} AS moment, {epoch:JSONExtractString(json, 'expires_at')} AS expires_at
FROM kt_row WHERE JSONExtractString(json, 'kind') = 'delivery';
CREATE OR REPLACE VIEW kt_placement AS
SELECT JSONExtractString(json, 'id') AS row_id, JSONExtractString(json, 'instance_id') AS instance_id,
	JSONExtractString(json, 'account_id') AS account_id, {epoch:JSONExtractString(json, 'at')} AS moment
FROM kt_row WHERE JSONExtractString(json, 'kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_address AS
SELECT JSONExtractString(json, 'id') AS row_id, arrayJoin(JSONExtract(json, 'addresses', 'Array(String)')) AS address
FROM kt_row WHERE JSONExtractString(json, 'kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_owner AS
SELECT JSONExtractString(json, 'id') AS row_id, arrayJoin(JSONExtract(json, 'owner_ids', 'Array(String)')) AS account_id
FROM kt_row WHERE JSONExtractString(json, 'kind') = 'placement';
CREATE OR REPLACE VIEW kt_range AS
SELECT JSONExtractString(p, 'service') AS service,
	concat(JSONExtractString(p, 'ip_prefix'), JSONExtractString(p, 'ipv6_prefix')) AS net
FROM (
	SELECT arrayJoin(arrayConcat(JSONExtractArrayRaw(json, 'prefixes'), JSONExtractArrayRaw(json, 'ipv6_prefixes'))) AS p
	FROM {ranges}
);

-- 2. What is ours, from inventory.json, and the networks that are nobody's.
