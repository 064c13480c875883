"""What ``npu explain`` says: pages about codes and words of the language, and about layers, tensors and steps."""
