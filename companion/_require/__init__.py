"""Every check of an argument, with messages that name the remedy; no mathematics."""
