/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Whether a socket of that network namespace (a descriptor of it) may be taken for one that reaches ours with its own
 * address: true for namespaces that the machine's root made, and for those of other user namespaces that have a link
 * into ours. Any user can make one of the rest, and give it every address and any tuple; packets of it cannot get here.
 * The thread must be in our namespace. */
bool netns_leads_here(int namespace);
