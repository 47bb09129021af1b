# An image with azfilesauth in it and no identity: each machine made of it has its own. The source
# "azure-arm.linux" is yours.
build {
  sources = ["source.azure-arm.linux"]

  provisioner "shell" {
    execute_command = "sudo sh -c '{{ .Vars }} {{ .Path }}'"
    inline = [
      "curl -fsSL https://azfilesauth.github.io/azfilesauth/install.sh | sh",
      "printf 'default_identity: system\\n' > /etc/azfilesauth/config.d/50-image.yaml",
      "chmod 0600 /etc/azfilesauth/config.d/50-image.yaml",
    ]
  }
}
