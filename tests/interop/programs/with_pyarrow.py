# SPDX-License-Identifier: Apache-2.0
# The SDK for C++, inside of Arrow.
import sys

from pyarrow import fs

store = fs.S3FileSystem(endpoint_override=sys.argv[1], scheme="http", region="eu-central-1")
try:
    store.get_file_info(fs.FileSelector("bucket"))
except OSError as denied:
    print(denied)
