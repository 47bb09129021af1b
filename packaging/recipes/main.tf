# A Linux VM that mounts a share with its own identity: what to add to a configuration that has the VM
# (azurerm_linux_virtual_machine.vm, with identity { type = "SystemAssigned" }) and the share.

# azurerm has no argument for SMB with OAuth yet.
resource "azapi_update_resource" "smb_oauth" {
  type        = "Microsoft.Storage/storageAccounts@2025-08-01"
  resource_id = azurerm_storage_account.acct.id
  body = {
    properties = {
      azureFilesIdentityBasedAuthentication = {
        directoryServiceOptions = "None"
        smbOAuthSettings        = { isSmbOAuthEnabled = true }
      }
    }
  }
}

resource "azurerm_role_assignment" "share" {
  scope                = azurerm_storage_account.acct.id
  role_definition_name = "Storage File Data SMB MI Admin"
  principal_id         = azurerm_linux_virtual_machine.vm.identity[0].principal_id
}

resource "azurerm_virtual_machine_extension" "azfilesauth" {
  name                 = "azfilesauth"
  virtual_machine_id   = azurerm_linux_virtual_machine.vm.id
  publisher            = "Microsoft.Azure.Extensions"
  type                 = "CustomScript"
  type_handler_version = "2.1"
  depends_on           = [azapi_update_resource.smb_oauth, azurerm_role_assignment.share]
  settings = jsonencode({
    commandToExecute = join(" && ", [
      "curl -fsSL https://azfilesauth.github.io/azfilesauth/install.sh | sh",
      "mkdir -p /mnt/share",
      "echo '//${azurerm_storage_account.acct.primary_file_host}/${azurerm_storage_share.share.name} /mnt/share azfiles _netdev,nofail,identity=system 0 0' >> /etc/fstab",
      "systemctl daemon-reload && systemctl start remote-fs.target",
    ])
  })
}
