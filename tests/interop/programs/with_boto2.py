# SPDX-License-Identifier: Apache-2.0
# Of boto 2.49. It knows IMDSv1 only.
import boto.utils

found = boto.utils.get_instance_metadata(data="meta-data/iam/security-credentials/", num_retries=1, timeout=5)
print(found["web-server"]["AccessKeyId"])
