"""What the SFTP server decides, without I/O."""
