# SPDX-License-Identifier: Apache-2.0
# It knows IMDSv1 only.
use strict;
use warnings;
use Net::Amazon::EC2;

print Net::Amazon::EC2->new->AWSAccessKeyId, "\n";
