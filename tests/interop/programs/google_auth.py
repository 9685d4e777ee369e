# SPDX-License-Identifier: Apache-2.0
# Looks for Google's metadata service on any cloud.
import google.auth

try:
    google.auth.default()
except google.auth.exceptions.DefaultCredentialsError:
    print("no credentials of Google's here")
