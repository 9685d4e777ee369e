# SPDX-License-Identifier: Apache-2.0
import sys

from obstore.exceptions import BaseError
from obstore.store import S3Store

store = S3Store("bucket", endpoint=sys.argv[1], region="eu-central-1", client_options={"allow_http": True})
try:
    print(list(store.list()))
except BaseError as denied:
    print(denied)
