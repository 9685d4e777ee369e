// SPDX-License-Identifier: Apache-2.0

import software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider;

/** Fetches credentials twice with the SDK for Java v2. */
public class Fetch {
	public static void main(String[] arguments) throws Exception {
		System.out.println(InstanceProfileCredentialsProvider.create().resolveCredentials().accessKeyId());
		System.in.read();
		System.out.println(InstanceProfileCredentialsProvider.create().resolveCredentials().accessKeyId());
	}
}
