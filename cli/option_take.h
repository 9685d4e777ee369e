/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/option_table.h"

/* What takes the values of options: each checks one and puts it where the row says (option_taker in option_table.h).
 * Texts are borrowed. Nothing is read but the value; one thread. */

option_taker option_take_flag;     /* no value: true */
option_taker option_take_text;     /* anything but "" */
option_taker option_take_number;   /* whole, up to 32 bits; the row's flag says that it was given */
option_taker option_take_time;     /* microseconds in UTC, of a moment or of one so long ago */
option_taker option_take_span;     /* microseconds that something lasts */
option_taker option_take_interval; /* the same, not 0 */
option_taker option_take_word;     /* one of the row's names, in any case */

option_taker option_take_key;     /* an access key id, or a pattern */
option_taker option_take_sha256;  /* a digest, or a pattern */
option_taker option_take_account; /* 12 digits */

option_taker option_take_container; /* `docker ps` prints the beginning of an id, which is enough */
option_taker option_take_type;      /* what stands behind the dot is enough */

/* These know the field that they are for. */
option_taker option_take_form;     /* which forms there are depends on the command */
option_taker option_take_ledger;   /* several, or `none`, where the command is the detector's */
option_taker option_take_findings; /* `none` there too */
option_taker option_take_fail_on;
option_taker option_take_workers;
option_taker option_take_source_account; /* these three may be repeated */
option_taker option_take_region;
option_taker option_take_profile;
