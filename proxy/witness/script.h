/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "common/json.h"

/* The file that an interpreter runs. The kernel forgets it once it has started the interpreter; what is left is the
 * command line, which is the process's own word, and whether the process holds that file open, which is the kernel's.
 */

/* The argument that names it; NULL: no interpreter that we know, or one that runs no file (`sh -c`, `python3 -m`).
 * `exe`: the interpreter's path; `cmdline`: arguments with a NUL behind each, `length` bytes. Points into `cmdline`.
 * Pure. */
const char *script_argument(const char *exe, const char *cmdline, size_t length);

/* {path, device, inode, known_by}. `folder` is the process's in /proc, `argument` of script_argument. known_by
 * "descriptor": the process holds that file open; "argument": its command line says so, device and inode are what that
 * path names now (null: nothing). New reference. */
json_t *script_read(int folder, const char *argument);
