/* SPDX-License-Identifier: Apache-2.0 */

/* Only in builds with sanitizers, never in one that ships. Their check for leaks, at the end, starts a process that
 * traces this one: our filter on system calls rightly ends it for that. So keytraild goes without this check; the unit
 * tests, which have no filter, look for leaks in the same code, and all other checks of the sanitizers are in force
 * here, too. */

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return 1;
}
