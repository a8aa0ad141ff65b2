"""The figure "gan" in a real browser: keys, presets, start and pause, one step, reset."""

import pytest
from widget_pages import Figures

SETTINGS = ("Data", "Loss", "Discriminator steps", "Adam, β₁ of both")
RATES = ("Learning rate, generator", "Learning rate, discriminator")
HEALTHY = ("ring", "non-saturating", "1", "0", "0.001", "0.003")
COLLAPSE = ("ring", "non-saturating", "1", "0.5", "0.002", "0.0005")


@pytest.fixture
def open_page(browser, tmp_path):
    figures = Figures(browser, tmp_path, "gan")
    yield figures.open
    figures.finish()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def steps(page) -> int:
    return int(page.locator("[data-label=steps]").text_content())


def settings(page) -> tuple[str, ...]:
    lists = [page.get_by_label(name, exact=True).input_value() for name in SETTINGS]
    rates = [page.get_by_label(name).get_attribute("aria-valuetext") for name in RATES]
    return (*lists, *rates)


def plane(page) -> str:
    """What a screen reader reads for the plane."""
    return page.locator(".gan-plane canvas").get_attribute("aria-label")


def pixels(page) -> str:
    return page.locator(".gan-plane canvas").evaluate("node => node.toDataURL()")


def wait_for(page, least: int):
    page.wait_for_function(
        "n => Number(document.querySelector('[data-label=steps]').textContent) >= n", arg=least
    )


def test_it_starts_at_rest_and_everything_has_a_name(open_page):
    page = open_page()
    assert page.get_by_text("interactive figure stands here").count() == 0
    assert settings(page) == HEALTHY
    assert page.get_by_role("button", name="Start").count() == 1
    assert page.get_by_role("slider").count() == 2
    for name in ("Losses of both players", "Share of the modes that are filled", "The plane"):
        assert page.get_by_role("img", name=name).count() == 1
    before = pixels(page)
    page.wait_for_timeout(300)
    assert steps(page) == 0
    assert pixels(page) == before


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_start_pause_and_reset(open_page, motion):
    page = open_page(motion=motion)
    assert steps(page) == 0  # never before the reader asks
    first = pixels(page)
    press(page, "Start")
    wait_for(page, 1)
    press(page, "Pause")
    at_rest, picture = steps(page), pixels(page)
    assert picture != first
    page.wait_for_timeout(300)
    assert (steps(page), pixels(page)) == (at_rest, picture)
    press(page, "Start")
    wait_for(page, at_rest + 1)
    press(page, "Reset, same seed")
    press(page, "Pause")
    press(page, "Reset, same seed")
    assert steps(page) == 0
    assert pixels(page) == first
    press(page, "Reset, new seed")
    assert pixels(page) != first


def test_where_the_reader_wants_no_motion_the_picture_changes_once_a_second(open_page):
    page = open_page(motion="reduce")
    changes = page.evaluate("""async () => {
        const node = document.querySelector("[data-label=steps]");
        let changes = 0;
        new MutationObserver(() => (changes += 1)).observe(node, {childList: true});
        document.querySelector(".gan-start").click();
        await new Promise(done => setTimeout(done, 2500));
        return changes;
    }""")
    press(page, "Pause")
    assert 1 <= changes <= 4


def test_one_step_at_a_time(open_page):
    page = open_page()
    pictures = [pixels(page)]
    for n in (1, 2):
        press(page, "One step")
        assert steps(page) == n
        pictures.append(pixels(page))
    assert len(set(pictures)) == 3
    press(page, "Reset, same seed")
    press(page, "One step")
    assert pixels(page) == pictures[1]


def test_the_presets_begin_anew_with_their_settings(open_page):
    page = open_page()
    press(page, "One step")
    press(page, "Collapse")
    assert settings(page) == COLLAPSE
    assert steps(page) == 0
    press(page, "Start")
    press(page, "Healthy")
    assert settings(page) == HEALTHY
    assert page.get_by_role("button", name="Start").count() == 1
    assert steps(page) == 0


def test_a_setting_acts_on_the_game_as_it_stands_and_new_data_begin_a_new_one(open_page):
    page = open_page()
    press(page, "One step")
    press(page, "One step")
    plain = pixels(page)
    press(page, "Reset, same seed")
    press(page, "One step")
    page.get_by_label("Learning rate, generator").fill("3")
    assert steps(page) == 1
    press(page, "One step")
    assert pixels(page) != plain
    for name, modes in (("Grid of 25", 25), ("Two moons", 16), ("Ring of 8", 8)):
        page.get_by_label("Data", exact=True).select_option(name)
        assert steps(page) == 0
        assert page.locator("[data-label=filled]").text_content().endswith(f" of {modes}")
    for loss in ("minimax", "wasserstein", "hinge", "non-saturating"):
        page.get_by_label("Loss", exact=True).select_option(loss)
        press(page, "One step")
    assert steps(page) == 4


def test_the_keyboard_reaches_and_moves_everything(open_page):
    page = open_page()
    names = ["Healthy", "Collapse", "Start", "One step", "Reset, same seed", "Reset, new seed"]
    seen = []
    page.get_by_role("button", name="Healthy").focus()
    focused = """() => {
        const node = document.activeElement;
        return node.labels?.length ? node.labels[0].textContent : node.textContent.trim();
    }"""
    for _ in range(14):
        seen.append(" ".join(page.evaluate(focused).split()))
        page.keyboard.press("Tab")
    note = "How it plays, and how it counts"
    assert seen == [*names, *SETTINGS, *RATES, note, "Answers"]
    page.get_by_role("button", name="Collapse").focus()
    page.keyboard.press("Enter")
    assert settings(page) == COLLAPSE
    page.get_by_role("button", name="One step").focus()
    page.keyboard.press("Space")
    assert steps(page) == 1
    page.get_by_label("Learning rate, discriminator").focus()
    page.keyboard.press("End")
    page.get_by_label("Adam").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_label("Discriminator steps").focus()
    page.keyboard.press("ArrowDown")
    assert settings(page) == ("ring", "non-saturating", "2", "0.9", "0.002", "0.008")


def test_the_sentence_is_spoken_once_after_a_rest(open_page):
    page = open_page()
    status = page.locator("[role=status]")
    assert status.get_attribute("aria-live") == "polite"
    page.wait_for_function("document.querySelector('[role=status]').textContent")
    spoken = page.evaluate("""async () => {
        const status = document.querySelector("[role=status]"), spoken = [];
        const note = () => spoken.push(status.textContent);
        new MutationObserver(note).observe(status, {childList: true});
        const once = [...document.querySelectorAll("button")].find(
            node => node.textContent === "One step");
        for (let i = 0; i < 3; i += 1) once.click();
        while (spoken.length === 0) await new Promise(done => setTimeout(done, 50));
        await new Promise(done => setTimeout(done, 600));
        return spoken;
    }""")
    assert len(spoken) == 1
    assert spoken[0].startswith("3 steps: ")
    assert spoken[0].endswith("of the samples of high quality.")
    assert plane(page).endswith(spoken[0])
