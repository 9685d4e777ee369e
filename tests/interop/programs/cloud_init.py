# SPDX-License-Identifier: Apache-2.0
# The Ec2 data source as cloud-init uses it at boot, told that this is EC2: a namespace has no DMI table of its own.
import sys

from cloudinit import helpers
from cloudinit.distros.debian import Distro
from cloudinit.sources import DataSourceEc2 as ec2

paths = helpers.Paths({"cloud_dir": sys.argv[1], "run_dir": sys.argv[1]})
source = ec2.DataSourceEc2Local({}, Distro("debian", {}, paths), paths)
source._cloud_name = ec2.CloudNames.AWS
found = source.crawl_metadata()
print(found["meta-data"]["instance-id"])
