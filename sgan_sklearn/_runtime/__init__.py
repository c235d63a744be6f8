"""Random numbers, threads, processes, devices, precision, and the settings around a call."""
