"""One training: the checked inputs, the skorch net, and what watches it."""
