# SPDX-License-Identifier: Apache-2.0
from ec2_metadata import ec2_metadata

print(ec2_metadata.instance_id, ec2_metadata.availability_zone, ec2_metadata.instance_identity_document["region"])
