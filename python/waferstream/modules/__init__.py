"""Which tensors of a PyTorch module are which of a family's parameters."""
