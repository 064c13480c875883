"""The disk: blobs by content, results by action key, and a local index that may be deleted at any time."""
