"""Published bugs and their near relatives; the suite must fail on each."""
