"""The course's own tools: set-up, notebooks, execution and checks of the book."""
