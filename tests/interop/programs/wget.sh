#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
imds=http://169.254.169.254/latest
token=$(wget -qO- --method=PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token")
role=$(wget -qO- --header "X-aws-ec2-metadata-token: $token" "$imds/meta-data/iam/security-credentials/")
wget -qO- --header "X-aws-ec2-metadata-token: $token" "$imds/meta-data/iam/security-credentials/$role"
