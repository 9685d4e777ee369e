// SPDX-License-Identifier: Apache-2.0
import { createRequire } from "module";

const { IamAwsProvider } = createRequire(process.argv[2] + "/")("minio/dist/main/IamAwsProvider.js");
console.log((await new IamAwsProvider({}).getCredentials()).getAccessKey());
