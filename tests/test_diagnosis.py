"""Blind diagnosis: the recorded runs, the clues to their faults, and what the reader sees."""

import copy
import json
import re
from html.parser import HTMLParser
from importlib import import_module
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from companion.checks import _registry, diagnose
from companion.checks._curves import Curve, Line, Panel, load_runs, panels_html
from companion.data import binarize, mnist5k
from companion.likelihoods import Bernoulli
from tools import record_runs
from tools.runs import mnist as mnist_programs

DIAGNOSES = {
    name: module.DIAGNOSIS
    for name in _registry.chapters()
    if hasattr(module := _registry.load(name), "DIAGNOSIS")
}
RUNS = {chapter: load_runs(diagnosis.recording) for chapter, diagnosis in DIAGNOSES.items()}
PAIRS = [(chapter, name) for chapter, runs in RUNS.items() for name in runs]
MNIST = RUNS["mnist"]


def recording(chapter):
    return json.loads(DIAGNOSES[chapter].recording.read_text(encoding="utf-8"))


# ---- the recording ----


@pytest.mark.parametrize("chapter", DIAGNOSES)
def test_the_recording_holds_what_the_script_wrote(chapter):
    recorded = recording(chapter)
    module = import_module(f"tools.runs.{chapter}")
    assert recorded["settings"] == module.SETTINGS
    assert list(recorded["runs"]) == list(module.PROGRAMS)
    assert recorded["sha256"] == record_runs.fingerprint(recorded)
    text = DIAGNOSES[chapter].recording.read_text(encoding="utf-8")
    assert text == record_runs.layout(recorded)
    assert len(text) < 20_000


def test_a_changed_number_or_setting_does_not_keep_its_hash():
    recorded = recording("mnist")
    for part, key, value in (("settings", "seed", 1), ("runs", "right", {"elbo": [-90.0]})):
        changed = copy.deepcopy(recorded)
        changed[part][key] = value
        assert record_runs.fingerprint(changed) != recorded["sha256"]


@pytest.mark.parametrize("name", mnist_programs.PROGRAMS)
def test_a_program_still_begins_as_it_was_recorded(name):
    again = mnist_programs.record_run(mnist_programs.PROGRAMS[name], epochs=1)
    assert again.keys() == MNIST[name].keys()
    for curve, (value,) in again.items():
        close = pytest.approx(MNIST[name][curve].first, rel=5e-3, abs=1 if curve == "active" else 0)
        assert value == close, curve


def test_recording_trains_every_program_and_rounds(monkeypatch, capsys):
    programs = {"right": 1.0, "wrong": 2.0}
    monkeypatch.setattr(mnist_programs, "PROGRAMS", programs)
    monkeypatch.setattr(
        mnist_programs, "record_run", lambda p, epochs: {"elbo": [p / 3] * epochs, "n": [7]}
    )
    recorded = record_runs.record("mnist")
    epochs = mnist_programs.SETTINGS["epochs"]
    assert recorded["runs"]["wrong"] == {"elbo": [0.6667] * epochs, "n": [7]}
    assert recorded["sha256"] == record_runs.fingerprint(recorded)
    assert "right" in capsys.readouterr().out
    assert '"n": [ 7 ]' in record_runs.layout(recorded)


# ---- clues and feedback ----


@pytest.mark.parametrize(("chapter", "name"), PAIRS)
def test_all_clues_of_a_fault_hold_for_its_own_run_and_for_no_other(chapter, name):
    run = RUNS[chapter][name]
    faults = DIAGNOSES[chapter].faults
    assert [key for key, fault in faults.items() if fault.missing(run) is None] == [name]


@pytest.mark.parametrize(("chapter", "name"), PAIRS)
def test_each_clue_answers_a_wrong_pick(chapter, name):
    diagnosis = DIAGNOSES[chapter]
    runs = [RUNS[chapter][shown] for shown in diagnosis.shown]
    for clue in diagnosis.faults[name].clues:
        assert any(diagnosis.faults[name].missing(run) is clue for run in runs), clue.missing


@pytest.mark.parametrize("chapter", DIAGNOSES)
def test_each_run_has_its_own_key_and_each_option_its_feedback(chapter):
    diagnosis = DIAGNOSES[chapter]
    questions = diagnosis.questions()
    assert len(questions) >= 6
    assert len(diagnosis.faults) > len(questions), "the last run would be found by elimination"
    letters = dict(zip(diagnosis.faults, "abcdefgh", strict=True))
    assert [question.key for question in questions] == [letters[name] for name in diagnosis.shown]
    for number, question in enumerate(questions):
        assert question.title == f"Run {'ABCDEFGH'[number]}"
        feedbacks = [option.feedback for option in question.options]
        assert all(feedbacks)
        assert len(set(feedbacks)) == len(feedbacks) == len(diagnosis.faults)
        # Math in Unicode reads well in Colab too, whose outputs have no MathJax.
        assert not re.search(r"[{}$\\]|\bnan\b|\binf\b", " ".join(feedbacks))
    assert [name for name in diagnosis.faults if diagnosis.faults[name].tell_tale] == [
        name for name in diagnosis.faults if name in diagnosis.shown
    ]


def test_the_right_run_is_the_only_one_without_a_fault():
    """Keys again, from the recording alone."""
    ends = {name: run["elbo"].last for name, run in MNIST.items()}
    assert max(ends, key=ends.get) == "right"
    honest = {
        name
        for name, run in MNIST.items()
        if torch.tensor(run["own"]).allclose(torch.tensor(run["elbo"]))
    }
    assert honest == {"right", "softplus", "detached", "sigmoid", "rate"}


def test_what_the_tell_tales_say_is_true():
    for run in MNIST.values():  # the recorded terms belong together, up to their rounding
        terms = zip(run["elbo"], run["log_likelihood"], run["kl"], strict=True)
        assert all(abs(elbo - (likelihood - kl)) < 0.2 for elbo, likelihood, kl in terms)
    right, softplus, rate = (MNIST[name] for name in ("right", "softplus", "rate"))
    assert softplus["kl"].last == pytest.approx(right["kl"].last, rel=0.03)  # "the same KL"
    assert softplus["log_likelihood"].last < right["log_likelihood"].last - 10
    assert MNIST["forgotten"]["own"] == MNIST["forgotten"]["log_likelihood"]
    assert MNIST["forgotten"]["std"].last < 1e-6
    assert MNIST["variance"]["std"].last < 1  # "below 1, a variance is smaller than its root"
    assert MNIST["detached"]["active"].highest == 0
    assert sum(after < before for before, after in pairwise(rate["elbo"])) > 5


def test_one_picture_for_all_and_bright_logits_cost_what_the_feedback_says():
    heldout = binarize(mnist5k("test").images, generator=torch.Generator().manual_seed(0))
    average = torch.logit(mnist5k("train").images.mean(0, keepdim=True).clamp(1e-4, 1 - 1e-4))
    constant = Bernoulli().log_prob(heldout, average.expand_as(heldout)).mean()
    dead = [run for run in MNIST.values() if run["active"].last == 0]
    assert len(dead) == 3
    assert all(run["elbo"].last < constant for run in dead)
    cheapest = heldout * F.softplus(torch.tensor(-1.0)) + (1 - heldout) * F.softplus(
        torch.tensor(0.0)
    )
    assert cheapest.flatten(1).sum(1).mean() > 500


# ---- what the reader sees ----


class Reader(HTMLParser):
    """Collects attributes and the text outside of the options' feedback."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.names, self.seen = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.open += [tag] if tag != "br" else []
        self.attributes += [value for name, value in attributes if name != "style"]
        self.names += [value for name, value in attributes if tag == "details" and name == "name"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "details" not in self.open or "summary" in self.open:
            self.seen.append(data)


@pytest.mark.parametrize("chapter", DIAGNOSES)
def test_nothing_outside_of_the_feedback_gives_the_label(chapter):
    diagnosis = DIAGNOSES[chapter]
    html = diagnose(chapter)._repr_html_()
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    n_options = len(diagnosis.faults)
    expected = [f"diagnose-{chapter}-{run + 1}" for run in range(len(diagnosis.shown))]
    assert reader.names == [name for name in expected for _ in range(n_options)]
    attributes = " ".join(filter(None, reader.attributes))
    for name in diagnosis.faults:
        assert name not in re.findall(r"[a-z_]+", attributes.lower().replace("-", " "))
    assert not re.search("Right|Not quite", " ".join(reader.seen))
    for fault in diagnosis.faults.values():  # every run offers every option, in the same place
        assert html.count(f") {fault.text.split('`')[0]}") == len(diagnosis.shown)
    listed = list(diagnosis.faults)
    places = [listed.index(name) for name in diagnosis.shown]
    assert places != sorted(places)
    assert places != sorted(places, reverse=True)


def test_it_needs_no_script_and_a_screen_reader_hears_the_numbers():
    html = diagnose("mnist")._repr_html_()
    assert "<script" not in html
    assert "http" not in html
    labels = re.findall(r'<svg role="img" aria-label="([^"]+)"', html)
    assert len(labels) == 7 * 5
    assert labels[12].startswith("KL in nats: 4.29 after epoch 1, ")  # the third run's
    assert labels[12].endswith(", 21.5 after epoch 20")
    assert labels[0].startswith("ELBO in nats: −214 after epoch 1, ")
    assert "; own score in nats: −213 after epoch 1, " in labels[0]


def test_a_panel_draws_each_number_where_its_axis_says():
    run = {"up": Curve((0.0, 5.0, 10.0)), "down": Curve((1e-9, 1.0, 100.0))}
    linear = panels_html((Panel((Line("up", "up"),), (0.0, 10.0)),), run)
    assert "M48.0 110.0L96.0 60.0L144.0 10.0" in linear
    log = panels_html((Panel((Line("down", "x < y"),), (1.0, 10.0, 100.0), "", True),), run)
    assert "M48.0 110.0L96.0 110.0L144.0 10.0" in log
    assert ">≤ 1</text>" in log
    assert "≤" not in linear
    assert "x &lt; y" in log
    assert "x < y" not in log


def test_in_a_terminal_it_is_a_table_and_the_options(capsys):
    diagnose("mnist")
    text = capsys.readouterr().out
    assert "Run A. What is wrong with it?" in text
    assert re.search(r"^ +KL +3\.43 ", text, re.MULTILINE)
    assert "Right:" not in text
    assert "Not quite:" not in text
    assert 'diagnose("mnist", answers=True)' in text
    diagnose("mnist", answers=True)
    answers = capsys.readouterr().out
    assert answers.count("Right:") == 7
    assert max(map(len, answers.splitlines())) <= 88


@pytest.mark.parametrize("chapter", ["elbo", "mnits"])
def test_a_chapter_without_recorded_runs_says_so(chapter):
    with pytest.raises(ValueError, match=rf"no recorded runs of '{chapter}'.*diagnose\(.mnist.\)"):
        diagnose(chapter)
