/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets: made, kept, compared and wiped here. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/folder.h"

int secret_set(struct secret *secret, const void *bytes, size_t length, struct error *err)
{
	if (length > sizeof(secret->bytes))
		return error_set(err, ERROR_LIMIT, "a secret of more than %zu bytes", sizeof(secret->bytes));
	memcpy(secret->bytes, bytes, length);
	secret->length = length;
	return 0;
}

void secret_done(struct secret *secret)
{
	OPENSSL_cleanse(secret, sizeof(*secret));
}

void secret_key_done(struct secret_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

int secret_random(void *bytes, size_t length, struct error *err)
{
	if (length > INT_MAX || RAND_bytes(bytes, (int)length) != 1)
		return error_set(err, ERROR_SYSTEM, "no random bytes");
	return 0;
}

static pthread_key_t mac_key;
static pthread_once_t mac_once = PTHREAD_ONCE_INIT;

static void mac_context_free(void *context)
{
	EVP_MAC_CTX_free(context);
}

static void make_mac_key(void)
{
	if (pthread_key_create(&mac_key, mac_context_free) != 0)
		abort();
}

/* HMAC-SHA256 of this thread, to be given a key: to look both up by name takes longer than to use them. */
static EVP_MAC_CTX *mac_context(void)
{
	char digest_name[] = "SHA256";
	const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
	                                 OSSL_PARAM_construct_end()};
	(void)pthread_once(&mac_once, make_mac_key);
	EVP_MAC_CTX *context = pthread_getspecific(mac_key);
	if (context != NULL)
		return context;
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	if (context != NULL &&
	    (EVP_MAC_CTX_set_params(context, parameters) != 1 || pthread_setspecific(mac_key, context) != 0)) {
		EVP_MAC_CTX_free(context);
		context = NULL;
	}
	return context;
}

int secret_mac(const struct secret_key *key, const struct secret_piece *pieces, size_t count,
               uint8_t ret[static SECRET_MAC_BYTES], struct error *err)
{
	EVP_MAC_CTX *context = mac_context();
	bool good = context != NULL && EVP_MAC_init(context, key->bytes, sizeof(key->bytes), NULL) == 1;
	for (size_t i = 0; good && i < count; i++) {
		uint64_t length = pieces[i].length;
		good = EVP_MAC_update(context, (const uint8_t *)&length, sizeof(length)) == 1 &&
		       EVP_MAC_update(context, pieces[i].bytes, pieces[i].length) == 1;
	}
	size_t made = 0;
	if (!good || EVP_MAC_final(context, ret, &made, SECRET_MAC_BYTES) != 1 || made != SECRET_MAC_BYTES)
		return error_set(err, ERROR_SYSTEM, "HMAC-SHA256 failed");
	return 0;
}

int secret_hmac(const void *key, size_t key_length, const void *bytes, size_t length,
                uint8_t ret[static SECRET_MAC_BYTES], struct error *err)
{
	size_t made = 0;
	uint8_t mac[SECRET_MAC_BYTES];
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_length, bytes, length, mac, sizeof(mac), &made) ==
	            NULL ||
	    made != sizeof(mac))
		return error_set(err, ERROR_SYSTEM, "HMAC-SHA256 failed");
	memcpy(ret, mac, sizeof(mac));
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

bool secret_equal(const void *a, const void *b, size_t length)
{
	return CRYPTO_memcmp(a, b, length) == 0;
}

MUST_USE static int key_create(const char *path, struct secret_key *ret, struct error *err)
{
	/* A temporary name and link(2): a crash leaves either no key or a whole one, and of two starters one wins. */
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid()) >= (int)sizeof(temporary))
		return error_set(err, ERROR_LIMIT, "%s: path too long", path);
	(void)unlink(temporary);
	CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, "%s", temporary);

	CLEANUP_KEY struct secret_key key;
	int result = secret_random(key.bytes, sizeof(key.bytes), err);
	if (result == 0 && (write(fd, key.bytes, sizeof(key.bytes)) != (ssize_t)sizeof(key.bytes) || fsync(fd) < 0))
		result = error_errno(err, "%s", temporary);
	if (result == 0 && link(temporary, path) < 0 && errno != EEXIST)
		result = error_errno(err, "%s", path);
	(void)unlink(temporary);
	/* What is made with a key must not outlive it. */
	if (result < 0 || folder_sync_of(path, err) < 0)
		return -1;
	return secret_key_open(path, ret, err); /* whoever won, this is the key from now on */
}

int secret_key_open(const char *path, struct secret_key *ret, struct error *err)
{
	struct error problem = {0};
	if (secret_key_read(path, ret, &problem) == 0)
		return 0;
	if (problem.code == ERROR_MISSING)
		return key_create(path, ret, err);
	return error_set(err, problem.code, "%s", problem.text);
}

int secret_key_read(const char *path, struct secret_key *ret, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);

	CLEANUP_KEY struct secret_key key;
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(err, "%s", path);
	if (status.st_size != SECRET_KEY_BYTES || read(fd, key.bytes, sizeof(key.bytes)) != (ssize_t)sizeof(key.bytes))
		return error_set(err, ERROR_INPUT, "%s: expected a key of %d bytes, found %lld", path, SECRET_KEY_BYTES,
		                 (long long)status.st_size);
	*ret = key;
	return 0;
}

void *secret_malloc(size_t size)
{
	return malloc(size);
}

void *secret_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void *secret_realloc(void *pointer, size_t size)
{
	/* realloc would leave the old bytes behind when it moves them. */
	if (pointer == NULL)
		return malloc(size);
	size_t old = malloc_usable_size(pointer);
	if (size <= old)
		return pointer;
	void *moved = malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, pointer, old);
	secret_free(pointer);
	return moved;
}

char *secret_strdup(const char *text)
{
	return strdup(text);
}

void secret_free(void *pointer)
{
	if (pointer != NULL)
		OPENSSL_cleanse(pointer, malloc_usable_size(pointer));
	free(pointer);
}
