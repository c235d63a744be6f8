"""Conversion of `X` and `y` to the tensors that the networks train on, and back."""
