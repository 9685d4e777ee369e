-- Keytrail's question for Athena: which keys of our ledgers were used where they should not be?
-- Athena takes one statement at a time: run those of 1 to 3 once, that of 4 whenever you ask. Engine version 3.

-- 1. Where things are. CloudTrail's own layout, by partition projection: no crawler, no partition to add. Set accounts,
--    regions and the first day to yours; an organisation's trail has its o-... before the account. The question reads
--    all partitions that the projection names: narrow it, or add a WHERE on account, region and day to kt_record.
CREATE EXTERNAL TABLE kt_trail (
	eventversion STRING,
	useridentity STRUCT<
		type: STRING, principalid: STRING, arn: STRING, accountid: STRING, accesskeyid: STRING, username: STRING,
		invokedby: STRING,
		sessioncontext: STRUCT<
			sessionissuer: STRUCT<type: STRING, principalid: STRING, arn: STRING, accountid: STRING, username: STRING>,
			ec2roledelivery: STRING>>,
	eventtime STRING, eventsource STRING, eventname STRING, awsregion STRING, sourceipaddress STRING, useragent STRING,
	errorcode STRING, eventid STRING, recipientaccountid STRING, sharedeventid STRING,
	vpcendpointid STRING, vpcendpointaccountid STRING
)
PARTITIONED BY (account STRING, region STRING, day STRING)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{trail}'
TBLPROPERTIES (
	'projection.enabled' = 'true',
	'projection.account.type' = 'enum', 'projection.account.values' = '{accounts}',
	'projection.region.type' = 'enum', 'projection.region.values' = 'us-east-1,us-east-2,us-west-2,eu-west-1,eu-central-1',
	'projection.day.type' = 'date', 'projection.day.format' = 'yyyy/MM/dd',
	'projection.day.range' = '2026/01/01,NOW', 'projection.day.interval' = '1', 'projection.day.interval.unit' = 'DAYS',
	'storage.location.template' = '{trail}${account}/CloudTrail/${region}/${day}'
);
-- The ledgers' lines (`keytrail ledger export`, or what [ledger] jsonl wrote), one JSON object a line, plain or gzip.
CREATE EXTERNAL TABLE kt_row (json STRING)
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\001'
LOCATION '{export}';
-- AWS's ip-ranges.json on one line: jq -c . ip-ranges.json | aws s3 cp - {ranges}ip-ranges.json
CREATE EXTERNAL TABLE kt_ranges_file (json STRING)
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\001'
LOCATION '{ranges}';
CREATE OR REPLACE VIEW kt_record AS
SELECT coalesce(eventid, '') AS event_id, coalesce(eventtime, '') AS event_time,
	coalesce(useridentity.accesskeyid, '') AS access_key_id, coalesce(useridentity.accountid, '') AS account_id,
	coalesce(useridentity.invokedby, '') AS invoked_by,
	coalesce(useridentity.sessioncontext.sessionissuer.arn, '') AS issuer_arn,
	coalesce(sourceipaddress, '') AS source, coalesce(vpcendpointid, '') AS endpoint_id,
	coalesce(vpcendpointaccountid, '') AS endpoint_account, coalesce(errorcode, '') AS error
FROM kt_trail;
CREATE OR REPLACE VIEW kt_delivery AS
SELECT coalesce(json_extract_scalar(json, '$.access_key_id'), '') AS access_key_id,
	coalesce(json_extract_scalar(json, '$.host.account_id'), '') AS home_account,
	coalesce(json_extract_scalar(json, '$.host.instance_id'), '') AS instance_id,
	coalesce(json_extract_scalar(json, '$.outcome'), '') AS outcome,
	{epoch:json_extract_scalar(json, '$.delivered_at')} AS moment, {epoch:json_extract_scalar(json, '$.expires_at')} AS expires_at
FROM kt_row WHERE json_extract_scalar(json, '$.kind') = 'delivery';
CREATE OR REPLACE VIEW kt_placement AS
SELECT json_extract_scalar(json, '$.id') AS row_id, coalesce(json_extract_scalar(json, '$.instance_id'), '') AS instance_id,
	coalesce(json_extract_scalar(json, '$.account_id'), '') AS account_id, {epoch:json_extract_scalar(json, '$.at')} AS moment
FROM kt_row WHERE json_extract_scalar(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_address AS
SELECT json_extract_scalar(json, '$.id') AS row_id, address
FROM kt_row CROSS JOIN UNNEST(CAST(json_extract(json, '$.addresses') AS ARRAY(VARCHAR))) AS t(address)
WHERE json_extract_scalar(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_placement_owner AS
SELECT json_extract_scalar(json, '$.id') AS row_id, account_id
FROM kt_row CROSS JOIN UNNEST(CAST(json_extract(json, '$.owner_ids') AS ARRAY(VARCHAR))) AS t(account_id)
WHERE json_extract_scalar(json, '$.kind') = 'placement';
CREATE OR REPLACE VIEW kt_range AS
SELECT json_extract_scalar(p, '$.service') AS service,
	coalesce(json_extract_scalar(p, '$.ip_prefix'), json_extract_scalar(p, '$.ipv6_prefix')) AS net
FROM kt_ranges_file CROSS JOIN UNNEST(CAST(json_extract(json, '$.prefixes') AS ARRAY(JSON))
	|| CAST(json_extract(json, '$.ipv6_prefixes') AS ARRAY(JSON))) AS t(p);

-- 2. What is ours, from inventory.json, and the networks that are nobody's.
