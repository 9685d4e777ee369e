# SPDX-License-Identifier: Apache-2.0
import sys

from awscrt.auth import AwsCredentialsProvider
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup

group = EventLoopGroup(1)
bootstrap = ClientBootstrap(group, DefaultHostResolver(group))
for fetch in range(2):
    provider = AwsCredentialsProvider.new_default_chain(bootstrap)
    print(provider.get_credentials().result(timeout=20).access_key_id, flush=True)
    if fetch == 0:
        sys.stdin.readline()
