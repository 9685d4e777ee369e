# SPDX-License-Identifier: Apache-2.0
import sys

import boto3

print(boto3.Session().get_credentials().get_frozen_credentials().access_key, flush=True)
sys.stdin.readline()
print(boto3.Session().get_credentials().get_frozen_credentials().access_key, flush=True)
