# SPDX-License-Identifier: Apache-2.0
# It knows IMDSv1 only.
use strict;
use warnings;
use VM::EC2::Instance::Metadata;

print VM::EC2::Instance::Metadata->new->iam_credentials->access_key_id, "\n";
