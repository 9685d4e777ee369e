# Packer: provisioners to put into the `build` of an image. The package is made by packaging/build.
#
#   build {
#     sources = ["source.amazon-ebs.base"]
#     provisioner "file" { ... }          # as below
#     provisioner "shell" { ... }
#   }
variable "keytrail_package" {
  type        = string
  description = "keytrail_VERSION_ARCHITECTURE.deb, or the rpm"
}

variable "base_ami" {
  type = string
}

source "amazon-ebs" "base" {
  ami_name      = "hardened-{{timestamp}}"
  source_ami    = var.base_ami
  instance_type = "t3.small"
  ssh_username  = "admin"
  # What clones get by default; 2 where containers need the role.
  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

build {
  sources = ["source.amazon-ebs.base"]

  provisioner "file" {
    source      = var.keytrail_package
    destination = "/tmp/keytrail.${regex("[a-z]+$", var.keytrail_package)}"
  }

  provisioner "shell" {
    execute_command = "sudo sh -eu -c '{{ .Vars }} {{ .Path }}'"
    inline = [
      "if [ -e /tmp/keytrail.deb ]; then DEBIAN_FRONTEND=noninteractive apt-get install -y /tmp/keytrail.deb; else dnf install -y /tmp/keytrail.rpm; fi",
      "install -m 0644 /usr/share/keytrail/hardened.conf /etc/keytrail/keytrail.conf",
      "keytrail-redirect carry-over >>/etc/keytrail/keytrail.conf",
      "keytraild --check-config",
      "systemctl enable keytrail.socket keytraild.service keytrail-redirect.service keytrail-check.timer keytrail-first-boot.service",
      "rm -f /tmp/keytrail.deb /tmp/keytrail.rpm",
      "keytrail seal --yes",
      "rm -f /var/spool/keytrail/*",
    ]
  }
}
