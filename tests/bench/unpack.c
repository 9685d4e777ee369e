/* SPDX-License-Identifier: Apache-2.0 */

/* unpack WORKERS FILE...: unpacks each file by libdeflate and does nothing else: what the detector's time is held
 * against. Files are read as the detector reads them. Prints the bytes. */
#include <fcntl.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char **files;
static int file_count;
static atomic_int next;
static atomic_ullong total;

static void unpack(struct libdeflate_decompressor *decompressor, const char *path, char **packed, char **text,
                   size_t *capacity)
{
	struct stat status;
	size_t made = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0 || (*packed = realloc(*packed, (size_t)status.st_size)) == NULL ||
	    read(fd, *packed, (size_t)status.st_size) != status.st_size) {
		perror(path);
		exit(1);
	}
	(void)close(fd);
	const unsigned char *end = (const unsigned char *)*packed + status.st_size;
	size_t wanted = (size_t)end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
	if (wanted > *capacity && (*text = realloc(*text, *capacity = wanted)) == NULL)
		exit(1);
	if (libdeflate_gzip_decompress(decompressor, *packed, (size_t)status.st_size, *text, wanted, &made) !=
	    LIBDEFLATE_SUCCESS) {
		(void)fprintf(stderr, "%s: damaged\n", path);
		exit(1);
	}
	total += made;
}

static void *work(void *context)
{
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	char *packed = NULL, *text = NULL;
	size_t capacity = 0;
	(void)context;
	for (int i; (i = next++) < file_count;)
		unpack(decompressor, files[i], &packed, &text, &capacity);
	free(packed);
	free(text);
	libdeflate_free_decompressor(decompressor);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	int workers = argc > 1 ? atoi(argv[1]) : 0;
	if (argc < 3 || workers < 1 || workers > 64) {
		(void)fprintf(stderr, "usage: unpack WORKERS FILE...\n");
		return 2;
	}
	files = argv + 2;
	file_count = argc - 2;
	for (int i = 0; i < workers; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 1;
	for (int i = 0; i < workers; i++)
		(void)pthread_join(threads[i], NULL);
	(void)printf("%llu\n", (unsigned long long)total);
	return 0;
}
