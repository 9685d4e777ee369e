# SPDX-License-Identifier: Apache-2.0
require "aws-sdk-core"

credentials = Aws::InstanceProfileCredentials.new
puts credentials.credentials.access_key_id
$stdout.flush
$stdin.gets
credentials.refresh!
puts credentials.credentials.access_key_id
