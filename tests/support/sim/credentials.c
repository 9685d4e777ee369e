/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that look like EC2's and are worth nothing: random secrets and tokens under key ids of the new
 * generation, from which the account can be decoded. */
#include "sim/credentials.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

#include "sim/util.h"

/* Where the bytes of new credentials come from: the kernel, or, with a seed, always the same ones for a label. */
struct draw {
	const unsigned char *seed;
	const char *label;
	unsigned int block;
};

static void draw_bytes(struct draw *draw, void *ret, size_t bytes)
{
	if (draw->seed == NULL) {
		random_bytes(ret, bytes);
		return;
	}
	for (size_t at = 0; at < bytes; draw->block++) {
		unsigned char digest[EVP_MAX_MD_SIZE];
		char text[CREDENTIALS_LABEL_BYTES + 96];
		int length = snprintf(text, sizeof(text), "%u %s ", draw->block, draw->label);
		(void)memcpy(text + length, draw->seed, CREDENTIALS_SEED_BYTES);
		if (EVP_Digest(text, (size_t)length + CREDENTIALS_SEED_BYTES, digest, NULL, EVP_sha256(), NULL) != 1)
			abort();
		size_t part = bytes - at < 32 ? bytes - at : 32;
		(void)memcpy((char *)ret + at, digest, part);
		at += part;
	}
}

/* 80 bits behind the prefix: one generation bit, the account in 40, 39 random ones; five bits a character. */
static void new_key_id(struct draw *draw, char ret[static KEY_ID_CHARACTERS + 1], const char *account)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint64_t random;

	draw_bytes(draw, &random, sizeof(random));
	uint64_t high = UINT64_C(1) << 39 | strtoull(account, NULL, 10) >> 1;
	uint64_t low = (strtoull(account, NULL, 10) & 1) << 39 | random >> 25;

	(void)memcpy(ret, "ASIA", 4);
	for (int i = 0; i < 8; i++) {
		ret[4 + i] = alphabet[high >> (35 - 5 * i) & 31];
		ret[12 + i] = alphabet[low >> (35 - 5 * i) & 31];
	}
	ret[KEY_ID_CHARACTERS] = '\0';
}

static void new_credentials(struct draw *draw, struct credentials *ret, const char *account)
{
	unsigned char bytes[822];

	new_key_id(draw, ret->access_key_id, account);
	draw_bytes(draw, bytes, 30);
	base64(ret->secret, bytes, 30, base64_standard);
	draw_bytes(draw, bytes, sizeof(bytes));
	base64(ret->token, bytes, sizeof(bytes), base64_standard);
	(void)memcpy(ret->token, "IQoJb3JpZ2luX2Vj", 16); /* how real session tokens begin */
}

void credentials_derive(struct credentials *ret, const unsigned char seed[static CREDENTIALS_SEED_BYTES],
                        const char *label, const char *account)
{
	struct draw draw = {.seed = seed, .label = label};

	new_credentials(&draw, ret, account);
}

void credentials_rotate(struct credential_sets *ret_sets, const char *account, time_t now, long lifetime)
{
	ret_sets->last_updated = now;
	ret_sets->expiration = now + lifetime;
	random_bytes(ret_sets->seed, sizeof(ret_sets->seed));
	for (int family = 0; family < FAMILY_COUNT; family++)
		for (int delivery = 0; delivery < DELIVERY_COUNT; delivery++)
			new_credentials(&(struct draw){0}, &ret_sets->of[family][delivery], account);
}

void credentials_write(FILE *out, const struct credential_sets *sets, enum family family, enum delivery delivery,
                       enum document document, const char *account)
{
	const struct credentials *credentials = &sets->of[family][delivery];
	char updated[32], expiration[32];

	time_iso(updated, sets->last_updated);
	time_iso(expiration, sets->expiration);

	(void)fputs("{\n", out);
	if (document != DOCUMENT_TASK)
		(void)fprintf(out,
		              "  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"%s\",\n"
		              "  \"Type\" : \"AWS-HMAC\",\n",
		              updated);
	(void)fprintf(out,
	              "  \"AccessKeyId\" : \"%s\",\n  \"SecretAccessKey\" : \"%s\",\n"
	              "  \"Token\" : \"%s\",\n  \"Expiration\" : \"%s\"",
	              credentials->access_key_id, credentials->secret, credentials->token, expiration);
	if (document == DOCUMENT_EXTENDED)
		(void)fprintf(out, ",\n  \"AccountId\" : \"%s\"", account);
	(void)fputs("\n}", out);
}

void credentials_write_error(FILE *out, const char *code, const char *role, time_t now)
{
	char updated[32];

	time_iso(updated, now);
	(void)fprintf(out, "{\n  \"Code\" : \"%s\",\n  \"Message\" : \"", code);
	if (strcmp(code, "AssumeRoleUnauthorizedAccess") == 0)
		(void)fprintf(out,
		              "EC2 cannot assume the role %s.  Please see documentation at "
		              "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html"
		              "#troubleshoot_iam-ec2_errors-info-doc.",
		              role);
	else
		(void)fprintf(out, "No credentials for the role %s.", role);
	(void)fprintf(out, "\",\n  \"LastUpdated\" : \"%s\"\n}", updated);
}

void credentials_find_key(const char *document, char ret[static 129])
{
	static const char name[] = "\"AccessKeyId\"";
	const char *at = strstr(document, name);
	size_t length = 0;

	*ret = '\0';
	if (at == NULL)
		return;
	at += sizeof(name) - 1;
	at += strspn(at, " \t\r\n:");
	if (*at++ != '"')
		return;
	for (; length < 128 && (isalnum((unsigned char)*at) || *at == '_'); at++)
		ret[length++] = *at;
	ret[length] = '\0';
}
