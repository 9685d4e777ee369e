<?php // SPDX-License-Identifier: Apache-2.0
// It knows IMDSv1 only.
require "AsyncAws/Core/autoload.php";

$provider = new AsyncAws\Core\Credentials\InstanceProvider();
echo $provider->getCredentials(AsyncAws\Core\Configuration::create([]))?->getAccessKeyId(), "\n";
