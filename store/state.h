/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "store/model.h"

/* The state folder as a whole. It belongs to one instance, whose id stands in its file `instance`: images are baked,
 * and every clone would otherwise share keys and history. Used while nobody else has these files open. */

bool state_is_instance_id(const char *text);

/* Whose state this is; "" where nobody has said so yet. */
MUST_USE int state_instance_read(const char *folder, char ret[static INSTANCE_BYTES], struct error *err);
MUST_USE int state_instance_write(const char *folder, const char *id, struct error *err);

/* One daemon at a time: the caller closes *ret when it is done with the files. Refuses while another one has them. */
MUST_USE int state_lock(const char *folder, int *ret, struct error *err);

/* By the firmware, without a network: the asset tag that Nitro instances have. "" elsewhere. */
#define STATE_FIRMWARE "/sys/devices/virtual/dmi/id/board_asset_tag"
void state_instance_of_firmware(const char *path, char ret[static INSTANCE_BYTES]);

#define STATE_ARCHIVE_BYTES 96

/* Puts ledger, journal, findings and host.key aside, into archive/ID-TIME of the folder that `ledger` is in, and
 * removes the tokens' keys. Whole or not at all: after a crash, calling it again goes on. Gives "archive/ID-TIME", or
 * "" when there was nothing to put aside. */
MUST_USE int state_archive(const char *ledger, const char *id, int64_t now_us, char ret[static STATE_ARCHIVE_BYTES],
                           struct error *err);

/* Removes everything that the daemon and `detect` keep there, archives too, for good. *ret_removed: how many files.
 * What is not ours stays, and is counted in *ret_others. Takes the lock. */
MUST_USE int state_empty(const char *ledger, int *ret_removed, int *ret_others, struct error *err);
