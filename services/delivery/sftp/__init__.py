"""The SFTP server: published files in an organisation's folders, to be read and nothing else. What is decided is in services/delivery/core/sftp/."""
