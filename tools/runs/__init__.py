"""The programs behind the recorded runs, a module a chapter; `tools.record_runs` runs them."""
