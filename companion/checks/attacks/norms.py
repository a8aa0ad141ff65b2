"""Check of the gains in three norms, by hand."""

from companion.checks.authoring import NumbersTask

_NO_EPS = "That is a norm of the gradient. The ball has the radius 0.1."

NumbersTask(
    "attacks.gains",
    number="5.1",
    title="The same gradient in three norms",
    answer="gains",
    values={"a": 1.9, "b": 1.3, "c": 1.2, "d": 1.43},
    slips={
        "a": {
            "You added the entries with their signs. Each pixel moves in the direction that helps, "
            "so its absolute value counts.": 1.1,
            "That is the gain in the l2 ball. Here every pixel has its own limit.": 1.3,
            "You moved the steepest pixel alone. In the linf ball the others may move, too.": 1.2,
            _NO_EPS: 19.0,
        },
        "b": {
            "That is the gain in the linf ball, whose corners lie outside the l2 ball.": 1.9,
            "You moved the steepest pixel alone. A little of the others costs almost no length.": (
                1.2
            ),
            "Is the square root missing? The step has the length 0.1, whatever the gradient.": [
                16.9,
                1.69,
            ],
            _NO_EPS: 13.0,
        },
        "c": {
            "That is the gain in the linf ball. In the l1 ball the changes of all pixels together "
            "are limited.": 1.9,
            "That is the gain in the l2 ball. Compare what each pixel returns for the same "
            "spending.": 1.3,
            "You shared the limit evenly among the pixels. It is better spent.": 0.475,
            _NO_EPS: 12.0,
        },
        "d": {
            "The box is missing: two of the pixels can't move by 0.1.": 1.9,
            "A pixel with a negative derivative moves down. How far is it to 0?": [0.95, 1.75],
            "A pixel with a negative derivative still helps, if it moves down.": [1.35, 1.27],
        },
    },
    otherwise="{value} is not it. Which pixels may move, how far, and what does each of them earn?",
    praise="The gains are 0.1 times the l1, the l2 and the linf norm of the gradient: each ball "
    "has its dual norm. And with the box, in linf, each pixel is a problem of its own.",
)
