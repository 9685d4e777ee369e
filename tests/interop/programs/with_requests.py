# SPDX-License-Identifier: Apache-2.0
import requests

IMDS = "http://169.254.169.254/latest/"
with requests.Session() as session:
    answer = session.put(IMDS + "api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}, timeout=5)
    answer.raise_for_status()
    session.headers["X-aws-ec2-metadata-token"] = answer.text
    role = session.get(IMDS + "meta-data/iam/security-credentials/", timeout=5).text
    print(session.get(IMDS + "meta-data/iam/security-credentials/" + role, timeout=5).text)
