"""Files: encoded values, saved estimators, checkpoints and ONNX graphs."""
