"""Check of the units of eps."""

from companion.checks.authoring import NumbersTask

NumbersTask(
    "attacks.units",
    number="5.5",
    title="The same limit in other units",
    answer="limits",
    values={
        "a": 8 / 255,
        "b": 0.2,
        "c": 0.3 * 0.3081,
        "d": 1.5 / 0.3081,
        "e": 0.1 * 28,
    },
    slips={
        "a": {
            "Divide by the range.": [8.0, 2040.0],
        },
        "b": {
            "The range from -1 to 1 is twice as long as that from 0 to 1. So is every distance "
            "in it.": [0.05, 0.1],
            "A limit is a distance, not a place: only the scale changes, nothing is subtracted.": (
                -0.8
            ),
        },
        "c": {
            "One unit of the normalized image is 0.3081 in pixels, so the limit shrinks.": [
                0.3 / 0.3081,
                0.3,
            ],
            "The mean shifts images. A distance between two images doesn't notice.": [
                0.3 * 0.3081 + 0.1307,
                (0.3 - 0.1307) / 0.3081,
                (0.3 - 0.1307) * 0.3081,
            ],
        },
        "d": {
            "Dividing all pixels by 0.3081 makes every distance longer.": [1.5 * 0.3081, 1.5],
            "The mean shifts both images alike. Their distance doesn't notice.": (
                (1.5 - 0.1307) / 0.3081
            ),
            "The length of a vector scales like its entries, not like their squares.": [
                1.5 / 0.3081**2,
            ],
        },
        "e": {
            "That is the l1 norm, the sum of the changes.": 78.4,
            "Is the square root missing?": 7.84,
            "Every pixel may change by 0.1 at the same time.": 0.1,
            "The image has 28 times 28 pixels, and the root of that number counts.": [
                0.1 * 28**0.5,
            ],
        },
    },
    otherwise="{value} is not it. Write down what a change of one unit means in each of the two "
    "scales.",
    praise="(c) is the fault that the table of the chapter measures. And by (e) a number alone "
    "says nothing: 0.1 in linf allows a length of 2.8.",
)
