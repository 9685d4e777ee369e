# SPDX-License-Identifier: Apache-2.0
require "fog/aws"

puts Fog::AWS::Storage.fetch_credentials(use_iam_profile: true)[:aws_access_key_id]
