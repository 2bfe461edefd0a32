"""What is to be read: files, folders, patterns, lists, and folders that grow."""
