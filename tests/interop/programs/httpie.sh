#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
imds=http://169.254.169.254/latest
ask() { http --ignore-stdin --check-status --body "$@"; }
token=$(ask PUT "$imds/api/token" 'X-aws-ec2-metadata-token-ttl-seconds: 60')
role=$(ask "$imds/meta-data/iam/security-credentials/" "X-aws-ec2-metadata-token: $token")
ask "$imds/meta-data/iam/security-credentials/$role" "X-aws-ec2-metadata-token: $token"
