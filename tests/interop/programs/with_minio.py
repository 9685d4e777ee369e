# SPDX-License-Identifier: Apache-2.0
from minio.credentials import IamAwsProvider

print(IamAwsProvider().retrieve().access_key)
