"""The figure "attack" in a real browser: its layout, its colors, what a screen reader hears."""

import pytest
from attack_figure import digits, ready, sentence
from widget_pages import Figures, assert_accessible, assert_contrast, layout_shift


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "attack")
    yield figures.open
    figures.finish()


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_leaves_and_nothing_jumps(open_page, width):
    page = ready(open_page(width=width))
    heights = set()
    for act in (
        lambda: page.get_by_role("slider").fill("0.3"),
        lambda: page.get_by_label("Norm").select_option("l2"),
        lambda: page.get_by_role("button", name="Held-out 9, number 2").click(),
        lambda: page.get_by_role("button", name="Draw a digit").click(),
    ):
        act()
        ready(page)
        heights.add(page.locator(".widget").evaluate("node => node.offsetHeight"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        script = """plot => [...plot.querySelectorAll("text")].map(text => {
            const a = text.getBoundingClientRect(), b = plot.getBoundingClientRect();
            return Math.min(a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom);
        })"""
        for plot in page.locator("svg.attack-bars").all():
            assert min(plot.evaluate(script)) >= -0.5
    assert len(heights) == 1


@pytest.mark.parametrize("width", [320, 390, 640, 800])
def test_the_pixels_are_whole_and_panels_stack_where_it_is_narrow(open_page, width):
    page = ready(open_page(width=width))
    sizes = page.locator(".attack-layout canvas").evaluate_all(
        "nodes => nodes.map(node => [node.clientWidth, node.clientHeight])"
    )
    assert len(sizes) == 25
    assert all(a == b and a % 28 == 0 for a, b in sizes)
    first, second = (box.bounding_box() for box in page.locator(".attack-network").all())
    assert (first["y"] == second["y"]) == (width >= 640)
    # Both pictures of a network stand side by side.
    tops = page.locator("[data-network=natural] canvas").evaluate_all(
        "nodes => nodes.map(node => node.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]


@pytest.mark.parametrize("width", [390, 800])
def test_filling_the_figure_shifts_nothing(open_page, width):
    page = ready(open_page(width=width))
    assert layout_shift(page) < 0.02


def test_the_sentence_is_spoken_once_after_a_rest(open_page):
    page = ready(open_page())
    page.wait_for_function("document.querySelector('[role=status]').textContent")
    assert page.locator("[role=status]").get_attribute("aria-live") == "polite"
    spoken = page.evaluate("""async () => {
        const input = document.querySelector("input"), spoken = [];
        const status = document.querySelector("[role=status]");
        const note = () => spoken.push(status.textContent);
        new MutationObserver(note).observe(status, {childList: true});
        for (let i = 0; i < 10; i += 1) {
            input.stepUp();
            input.dispatchEvent(new Event("input"));
            await new Promise(done => setTimeout(done, 10));
        }
        while (spoken.length === 0) await new Promise(done => setTimeout(done, 100));
        await new Promise(done => setTimeout(done, 1000));
        return spoken;
    }""")
    assert spoken == [sentence(page)]


def test_it_prints_as_a_still_picture(open_page):
    page = ready(open_page())
    page.emulate_media(media="print")
    for selector in (".attack-pad canvas", ".attack-image", ".attack-bars", ".attack-radii"):
        assert page.locator(selector).first.is_visible()
    assert digits()[1][7] == 7
    assert sentence(page).startswith("Natural network: 7 before")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800])
@pytest.mark.parametrize("drawing", [False, True])
def test_axe_finds_nothing(open_page, axe, theme, width, drawing):
    page = ready(open_page(theme=theme, width=width))
    if drawing:
        page.get_by_role("button", name="Draw a digit").click()
        ready(page)
    page.evaluate("document.querySelector('details').open = true")
    assert_accessible(page, axe)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(open_page, theme):
    page = ready(open_page(theme=theme))
    parts = [
        ("svg .widget-tick, svg .attack-digit", "fill", 4.5),
        (".widget p, .widget label, .widget output, .widget th, .widget td", "color", 4.5),
        (".widget button, .widget li, .widget summary, .attack-caption", "color", 4.5),
        (".widget select, .attack-facts b", "color", 4.5),
        (".attack-bar, .attack-true", "stroke", 3),
    ]
    assert_contrast(page, theme, parts)
