// SPDX-License-Identifier: Apache-2.0
import { createRequire } from "module";
import { once } from "events";

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = createRequire(process.argv[2] + "/")("aws-sdk");
const credentials = new AWS.EC2MetadataCredentials();
await credentials.getPromise();
console.log(credentials.accessKeyId);
await once(process.stdin, "data");
await credentials.refreshPromise();
console.log(credentials.accessKeyId);
process.exit(0);
