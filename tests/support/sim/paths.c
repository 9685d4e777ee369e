/* SPDX-License-Identifier: Apache-2.0 */
/* What the service serves: one row a path, in the order in which lists show it. <names> are settings or one of
 * the derived names in tree.c. Categories are served under every version, also under those that are older than
 * the category: crawlers in tests should see everything. */
#include "sim/tree.h"

const char *const versions[] = {
	"1.0",        "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
	"2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19",
	"2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03",
	"2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest",
};
const size_t versions_count = COUNT_OF(versions);

#define META "meta-data/"
#define MAC META "network/interfaces/macs/<mac>/"
#define IDENTITY "dynamic/instance-identity/"

#define PATH(name) .path = (name)
#define ROW(name, content) .path = (name), .text = (content)

static const char identity_document[] = "{\n"
					"  \"accountId\" : \"<account>\",\n"
					"  \"architecture\" : \"x86_64\",\n"
					"  \"availabilityZone\" : \"<region>a\",\n"
					"  \"billingProducts\" : null,\n"
					"  \"devpayProductCodes\" : null,\n"
					"  \"marketplaceProductCodes\" : null,\n"
					"  \"imageId\" : \"ami-0a1b2c3d4e5f60718\",\n"
					"  \"instanceId\" : \"<instance-id>\",\n"
					"  \"instanceType\" : \"m5.large\",\n"
					"  \"kernelId\" : null,\n"
					"  \"pendingTime\" : \"<started>\",\n"
					"  \"privateIp\" : \"<private-ip>\",\n"
					"  \"ramdiskId\" : null,\n"
					"  \"region\" : \"<region>\",\n"
					"  \"version\" : \"2017-09-30\"\n"
					"}";

static const char iam_info[] = "{\n"
			       "  \"Code\" : \"Success\",\n"
			       "  \"LastUpdated\" : \"<updated>\",\n"
			       "  \"InstanceProfileArn\" : \"arn:aws:iam::<account>:instance-profile/<role>\",\n"
			       "  \"InstanceProfileId\" : \"AIPAZ7QCMKEXAMPLEPROF\"\n"
			       "}";

static const char identity_info[] = "{\n"
				    "  \"Code\" : \"Success\",\n"
				    "  \"LastUpdated\" : \"<updated>\",\n"
				    "  \"AccountId\" : \"<account>\"\n"
				    "}";

static const char task_info[] = "{\n"
				"  \"LastUpdated\" : \"<updated>\",\n"
				"  \"TaskCredentials\" : {\n"
				"    \"" TASK_ID "-TaskApplication\" : {\n"
				"      \"RoleARN\" : \"arn:aws:iam::<account>:role/task-application\"\n"
				"    },\n"
				"    \"" TASK_ID "-TaskExecution\" : {\n"
				"      \"RoleARN\" : \"arn:aws:iam::<account>:role/task-execution\"\n"
				"    }\n"
				"  }\n"
				"}";

const struct path_row paths[] = {
	/* The version's own list names its directories without a slash, as no other list does. */
	{ROW("", "dynamic\nmeta-data\nuser-data"), .source = SOURCE_LIST},

	{ROW("dynamic/fws/instance-monitoring", "disabled")},
	{PATH(IDENTITY "rsa2048"), .source = SOURCE_SIGNATURE},
	{PATH(IDENTITY "pkcs7"), .source = SOURCE_SIGNATURE},
	{ROW(IDENTITY "document", identity_document)},
	{PATH(IDENTITY "signature"), .source = SOURCE_SIGNATURE},
	{PATH(IDENTITY "dsa2048"), .source = SOURCE_SIGNATURE},

	{ROW(META "ami-id", "ami-0a1b2c3d4e5f60718")},
	{ROW(META "ami-launch-index", "0")},
	{ROW(META "ami-manifest-path", "(unknown)")},
	{ROW(META "block-device-mapping/ami", "/dev/xvda")},
	{ROW(META "block-device-mapping/ebs1", "sdf")},
	{ROW(META "block-device-mapping/root", "/dev/xvda")},
	{ROW(META "events/maintenance/history", "[]")},
	{ROW(META "events/maintenance/scheduled", "[]")},
	{ROW(META "events/recommendations/rebalance", "{\"noticeTime\": \"<started>\"}"), .when = WHEN_SPOT},
	{ROW(META "hostname", "<private-name>")},
	{ROW(META "iam/info", iam_info), .when = WHEN_ROLE},
	{PATH(META "iam/security-credentials/<role>"), .source = SOURCE_ROLE, .when = WHEN_ROLE},
	{PATH(META "iam/security-credentials-extended/<role>"), .source = SOURCE_EXTENDED, .when = WHEN_EXTENDED},
	{ROW(TASK_FOLDER "info", task_info), .when = WHEN_ECS},
	{PATH(TASK_PATH "-TaskApplication"), .source = SOURCE_TASK_APPLICATION, .when = WHEN_ECS},
	{PATH(TASK_PATH "-TaskExecution"), .source = SOURCE_TASK_EXECUTION, .when = WHEN_ECS},
	{ROW(META "identity-credentials/ec2/info", identity_info)},
	{PATH(META "identity-credentials/ec2/security-credentials/ec2-instance"), .source = SOURCE_IDENTITY},
	{ROW(META "instance-action", "none")},
	{ROW(META "instance-id", "<instance-id>")},
	{ROW(META "instance-life-cycle", "on-demand")},
	{ROW(META "instance-type", "m5.large")},
	{ROW(META "local-hostname", "<private-name>")},
	{ROW(META "local-ipv4", "<private-ip>")},
	{ROW(META "mac", "<mac>")},
	{ROW(META "managed-ssh-keys/signer-cert", "c2lnbmVyLWNlcnRpZmljYXRl"), .hidden = true},
	{ROW(META "managed-ssh-keys/signer-ocsp", "2026-01-signer"), .source = SOURCE_LIST, .hidden = true},
	{ROW(META "managed-ssh-keys/signer-ocsp/2026-01-signer", "b2NzcC1yZXNwb25zZQ=="), .hidden = true},
	{ROW(META "metrics/vhostmd", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")},

	{ROW(MAC "device-number", "0")},
	{ROW(MAC "interface-id", "<interface-id>")},
	{ROW(MAC "ipv4-associations/<public-ip>", "<private-ip>"), .when = WHEN_PUBLIC_IP},
	{ROW(MAC "ipv6s", "<ipv6>"), .when = WHEN_IPV6},
	{ROW(MAC "local-hostname", "<private-name>")},
	{ROW(MAC "local-ipv4s", "<private-ip>")},
	{ROW(MAC "mac", "<mac>")},
	{ROW(MAC "network-card", "0")},
	{ROW(MAC "network-card-index", "0")},
	{ROW(MAC "owner-id", "<account>")},
	{ROW(MAC "public-hostname", "<public-name>"), .when = WHEN_PUBLIC_IP},
	{ROW(MAC "public-ipv4s", "<public-ip>"), .when = WHEN_PUBLIC_IP},
	{ROW(MAC "security-group-ids", "sg-0a1b2c3d4e5f60718")},
	{ROW(MAC "security-groups", "web")},
	{ROW(MAC "subnet-id", "<subnet-id>")},
	{ROW(MAC "subnet-ipv4-cidr-block", "<subnet-cidr>")},
	{ROW(MAC "subnet-ipv6-cidr-blocks", "2001:db8:1234:1a00::/64"), .when = WHEN_IPV6},
	{ROW(MAC "vpc-id", "<vpc-id>")},
	{ROW(MAC "vpc-ipv4-cidr-block", "<vpc-cidr>")},
	{ROW(MAC "vpc-ipv4-cidr-blocks", "<vpc-cidr>")},
	{ROW(MAC "vpc-ipv6-cidr-blocks", "2001:db8:1234:1a00::/56"), .when = WHEN_IPV6},

	{ROW(META "placement/availability-zone", "<region>a")},
	{ROW(META "placement/availability-zone-id", "euc1-az2")},
	{ROW(META "placement/region", "<region>")},
	{ROW(META "product-codes", "3iplms73etrdhxdepv72l6ywj"), .hidden = true},
	{ROW(META "profile", "default-hvm")},
	{ROW(META "public-hostname", "<public-name>"), .when = WHEN_PUBLIC_IP},
	{ROW(META "public-ipv4", "<public-ip>"), .when = WHEN_PUBLIC_IP},
	{ROW(META "public-keys", "0=my-public-key"), .source = SOURCE_LIST},
	{ROW(META "public-keys/0/openssh-key",
             "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAM my-public-key")},
	{ROW(META "reservation-id", "r-0a1b2c3d4e5f60718")},
	{ROW(META "security-groups", "web")},
	{ROW(META "services/domain", "amazonaws.com")},
	{ROW(META "services/partition", "aws")},
	{ROW(META "spot/instance-action", "{\"action\": \"<spot>\", \"time\": \"<started>\"}"), .when = WHEN_SPOT},
	{ROW(META "spot/termination-time", "<started>"), .when = WHEN_SPOT},
	{ROW(META "system", "nitro")},
	{ROW(META "tags/instance/Name", "web-server"), .when = WHEN_TAGS},
	{ROW(META "tags/instance/Test", "a value with spaces"), .when = WHEN_TAGS},
	/* With tags off the service denies `tags`, yet answers this with an empty list. */
	{ROW(META "tags/instance", ""), .source = SOURCE_LIST, .when = WHEN_NO_TAGS, .hidden = true},

	{PATH("user-data"), .source = SOURCE_USER_DATA},
};
const size_t paths_count = COUNT_OF(paths);
