"""Only the pages have examples for pytest to run."""

collect_ignore = ["conf.py", "check_site.py", "_build", "_ext", "api", "auto_examples"]
