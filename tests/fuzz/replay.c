/* SPDX-License-Identifier: Apache-2.0 */

/* A target without a fuzzer: what lies in the folders that are named, one file after the other. So the seeds, and what
 * was found once, are part of the tests. */
#include <dirent.h>
#include <stdio.h>

#include "common/buffer.h"
#include "tests/fuzz/fuzz.h"

static unsigned replay_folder(const char *folder)
{
	unsigned count = 0;
	DIR *all = opendir(folder);
	for (const struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
		CLEANUP_BUFFER struct buffer text = {0};
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		MUST(buffer_read_file(&text, path, NULL) == 0);
		/* In memory of just that size. */
		CLEANUP_FREE uint8_t *input = malloc(text.length > 0 ? text.length : 1);
		MUST(input != NULL);
		if (text.length > 0)
			memcpy(input, text.bytes, text.length);
		(void)LLVMFuzzerTestOneInput(input, text.length);
		count++;
	}
	if (all != NULL)
		(void)closedir(all);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++)
		count += replay_folder(argv[i]);
	(void)printf("%u inputs\n", count);
	return count > 0 ? 0 : 1; /* without seeds nothing was tested */
}
