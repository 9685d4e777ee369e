# SPDX-License-Identifier: Apache-2.0
# The resolver of the fact ec2_metadata: facter itself asks only where the machine's DMI table says EC2 or Xen.
require "facter"
require "facter/framework/core/file_loader"

puts Facter::Resolvers::Ec2.resolve(:metadata)["instance-id"]
