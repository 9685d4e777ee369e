/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of calls that teach. */
#include "detector/lesson.h"

#include <string.h>

#include "common/cleanup.h"

#define ROW(name, lesson)                                                                                              \
	{                                                                                                              \
		name, sizeof(name) - 1, lesson                                                                         \
	}

static const struct {
	const char *name;
	size_t length;
	enum lesson lesson;
} lessons[] = {
	/* sts */
	ROW("AssumeRole", LESSON_LINK),
	ROW("AssumeRoleWithSAML", LESSON_LINK),
	ROW("AssumeRoleWithWebIdentity", LESSON_LINK),
	ROW("AssumeRoot", LESSON_LINK),
	ROW("GetFederationToken", LESSON_LINK),
	ROW("GetSessionToken", LESSON_LINK),
	/* eks-auth, cognito-identity, ssm (default host management) */
	ROW("AssumeRoleForPodIdentity", LESSON_LINK),
	ROW("GetCredentialsForIdentity", LESSON_LINK),
	ROW("RequestManagedInstanceRoleToken", LESSON_LINK),
	/* iam */
	ROW("CreateAccessKey", LESSON_LINK),
	ROW("CreateUser", LESSON_LINK),
	ROW("CreateLoginProfile", LESSON_LINK),
	ROW("UpdateLoginProfile", LESSON_LINK),
	/* signin */
	ROW("GetSigninToken", LESSON_LINK),
	ROW("ConsoleLogin", LESSON_SIGN_IN),
	/* ec2 */
	ROW("AllocateAddress", LESSON_CLAIM),
	ROW("AssociateAddress", LESSON_CLAIM),
	ROW("DisassociateAddress", LESSON_CLAIM),
	ROW("ReleaseAddress", LESSON_CLAIM),
	ROW("AcceptAddressTransfer", LESSON_CLAIM),
	ROW("RunInstances", LESSON_CLAIM),
	ROW("StopInstances", LESSON_CLAIM),
	ROW("TerminateInstances", LESSON_CLAIM),
	ROW("CreateNatGateway", LESSON_CLAIM),
	ROW("AssociateNatGatewayAddress", LESSON_CLAIM),
	ROW("DeleteNatGateway", LESSON_CLAIM),
	ROW("CreateNetworkInterface", LESSON_CLAIM),
	ROW("AttachNetworkInterface", LESSON_CLAIM),
	ROW("DeleteNetworkInterface", LESSON_CLAIM),
	ROW("AssignIpv6Addresses", LESSON_CLAIM),
	ROW("UnassignIpv6Addresses", LESSON_CLAIM),
	ROW("CreateVpcEndpoint", LESSON_CLAIM),
};

enum lesson lesson_of(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_LENGTH(lessons); i++)
		if (lessons[i].length == length && memcmp(lessons[i].name, name, length) == 0)
			return lessons[i].lesson;
	return LESSON_NONE;
}

const char *lesson_name(size_t i)
{
	return i < ARRAY_LENGTH(lessons) ? lessons[i].name : NULL;
}
