// SPDX-License-Identifier: Apache-2.0
import { createRequire } from "module";

const { MetadataService } = createRequire(process.argv[2] + "/")("@aws-sdk/ec2-metadata-service");
const role = "/latest/meta-data/iam/security-credentials/";
const service = new MetadataService();
console.log(await service.request(role + (await service.request(role, {})), {}));
