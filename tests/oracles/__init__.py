"""Somebody else's answers: torch.distributions, SciPy, scikit-learn, foolbox, closed forms."""
