// SPDX-License-Identifier: Apache-2.0
// sdk3.mjs FOLDER PROVIDER: fetches credentials twice with that provider of the SDK for JavaScript v3.
import { createRequire } from "module";
import { once } from "events";

const sdk = createRequire(process.argv[2] + "/")("@aws-sdk/credential-providers");
console.log((await sdk[process.argv[3]]()()).accessKeyId);
await once(process.stdin, "data");
console.log((await sdk[process.argv[3]]()()).accessKeyId);
process.exit(0);
