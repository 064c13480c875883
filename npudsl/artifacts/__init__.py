"""The values that travel between the steps, and how they are laid out as blobs."""
