"""The figure "gan" in node: its gradients and its Adam against torch, its counts, its games."""

import json
import math
import re

import numpy as np
import pytest
import torch
from gan_figure import COLLAPSE, HEALTHY, LOSSES, flat, gradients, in_node, network

from companion.page.widget import FOLDER

BATCH = 64


@pytest.fixture(scope="module")
def players():
    """A generator, a discriminator, codes and data; the scores lie on both sides of +-1."""
    generator, discriminator = network("generator", 1), network("discriminator", 2)
    draw = torch.Generator().manual_seed(3)
    codes, data = (torch.randn(BATCH, 2, generator=draw).double() for _ in range(2))
    with torch.no_grad():
        for weight in [*generator.parameters(), *discriminator.parameters()]:
            weight.mul_(3)
        discriminator[-1].bias -= discriminator(generator(codes)).mean() + 1
    return generator, discriminator, codes, data


LOAD = """
    const { generator, discriminator } = play.networks();
    generator.parameters.set(input.generator);
    discriminator.parameters.set(input.discriminator);
"""


def handed(players):
    generator, discriminator, codes, data = players
    return {
        "generator": flat(generator.parameters()),
        "discriminator": flat(discriminator.parameters()),
        "codes": flat([codes]),
        "data": flat([data]),
    }


def assert_equal(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_the_losses_are_tried_on_both_sides_of_their_kinks(players):
    generator, discriminator, codes, data = players
    real, fake = discriminator(data), discriminator(generator(codes))
    assert real.min() < 1 < real.max()
    assert fake.min() < -1 < fake.max()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_discriminator_has_the_gradients_of_torch(players, loss):
    generator, discriminator, codes, data = players
    found = in_node(
        LOAD
        + """
        const fake = generator.forward(flat(input.codes), 64);
        const loss = play.discriminatorLoss(discriminator, play.LOSSES[input.loss],
            flat(input.data), fake);
        return { fake, loss, own: discriminator.gradients, other: generator.gradients };""",
        loss=loss,
        **handed(players),
    )
    fake = generator(codes).detach()
    wanted = LOSSES[loss][0](discriminator(data), discriminator(fake))
    assert_equal(found["fake"], flat([fake]))
    assert_equal(found["loss"], wanted.item())
    assert_equal(found["own"], gradients(wanted, discriminator))
    assert not any(found["other"])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_generator_has_the_gradients_of_torch(players, loss):
    generator, discriminator, codes, _ = players
    found = in_node(
        LOAD
        + """
        const players = { generator, discriminator };
        const loss = play.generatorLoss(players, play.LOSSES[input.loss], flat(input.codes));
        return { loss, own: generator.gradients, other: discriminator.gradients };""",
        loss=loss,
        **handed(players),
    )
    wanted = LOSSES[loss][1](discriminator(generator(codes)))
    assert_equal(found["loss"], wanted.item())
    assert_equal(found["own"], gradients(wanted, generator))
    assert not any(found["other"])  # the discriminator is held fixed


@pytest.mark.parametrize("beta1", [0, 0.5, 0.9])
def test_adam_steps_as_in_torch(players, beta1):
    draw = torch.Generator().manual_seed(4)
    start = torch.randn(50, generator=draw).double()
    slopes = torch.randn(3, 50, generator=draw).double() * torch.tensor([[1.0], [1e-3], [1e-9]])
    found = in_node(
        """
        const net = { parameters: flat(input.start), gradients: new Float64Array(50) };
        const { step } = adam(net);
        return input.slopes.map((slope) => {
            net.gradients.set(slope);
            step(2e-3, input.beta1);
            return [...net.parameters];
        });""",
        start=start.tolist(),
        slopes=slopes.tolist(),
        beta1=beta1,
    )
    weight = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([weight], lr=2e-3, betas=(float(beta1), 0.999))
    for ours, slope in zip(found, slopes, strict=True):
        weight.grad = slope.double().clone()
        optimizer.step()
        assert_equal(ours, weight.tolist())


def test_the_networks_start_as_in_torch():
    found = in_node("""
        const net = mlp([2, 32, 32, 1], 0, 1);
        net.initialize(CompanionWidgets.uniforms(5));
        return net.parameters;""")
    assert len(found) == sum(b * (a + 1) for a, b in [(2, 32), (32, 32), (32, 1)])
    first, second = np.array(found[:96]), np.array(found[96 : 96 + 33 * 32])
    for values, inputs in ((first, 2), (second, 32)):
        bound = 1 / math.sqrt(inputs)
        assert 0.9 * bound < np.abs(values).max() < bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_modes_and_quality_are_counted_within_three_deviations():
    centers = [(math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)]
    close, far = (0.149, 0), (0, 0.151)  # three standard deviations are 0.15
    points = [(a + close[0], b) for a, b in centers[:3] for _ in range(10)]
    points += [(centers[3][0], centers[3][1] + far[1])] * 30 + [centers[4]] + [(0, 0)] * 39
    found = in_node(
        "return play.judge(flat(input.points.flat()), play.TARGETS.ring);", points=points
    )
    assert found == {"found": 4, "filled": 3, "quality": pytest.approx(31 / 100)}


@pytest.mark.parametrize(("target", "modes"), [("ring", 8), ("grid", 25), ("moons", 16)])
def test_the_data_themselves_fill_all_modes(target, modes):
    found = in_node(
        """
        const uniform = CompanionWidgets.uniforms(1), normal = CompanionWidgets.normals(uniform);
        const target = play.TARGETS[input.target];
        const points = Array.from({length: 5000}, () =>
            target.place(uniform).map((value) => value + 0.05 * normal()));
        return { points, ...play.judge(flat(points.flat()), target) };""",
        target=target,
    )
    points = np.array(found["points"])
    assert found["found"] == found["filled"] == modes
    assert np.abs(points.mean(0)).max() < 0.05
    assert np.abs(points).max() < 1.8
    if target != "moons":
        assert found["quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)


def test_clipping_keeps_the_critic_inside_the_box_and_a_seed_repeats():
    found = in_node(
        """
        const scores = [1, 1, 2].map((seed) => {
            const one = play.game({ target: "ring", seed });
            for (let i = 0; i < 5; i += 1) one.step(input.options);
            return one.scores(flat([50, 50, -50, -50, 0.3, 1]));
        });
        return { scores, clip: play.CLIP };""",
        options=HEALTHY | {"loss": "wasserstein", "dSteps": 2},
    )
    first, again, other = found["scores"]
    assert first == again != other
    # No score changes by more than the product of the layers' largest possible slopes.
    box = found["clip"] ** 3 * 32 * 32
    assert abs(first[0] - first[1]) <= box * 200


GAME = """
    return input.seeds.map((seed) => {
        const one = play.game({ target: "ring", seed });
        const hundred = (options) => {
            let [gLoss, dLoss] = [0, 0];
            for (let i = 0; i < 100; i += 1) {
                const losses = one.step(options);
                gLoss += losses.gLoss / 100;
                dLoss += losses.dLoss / 100;
            }
            return { ...one.count(), gLoss, dLoss };
        };
        return input.phases.flatMap(([steps, options]) =>
            Array.from({ length: steps / 100 }, () => hundred(options)));
    });"""


def games(phases):
    """The course of a game for each of three seeds: counts and mean losses of every 100 steps."""
    return in_node(GAME, phases=phases, seeds=[1, 2, 3])


def test_the_healthy_game_fills_all_modes_while_its_losses_stay_level():
    for course in games([(500, HEALTHY)]):
        assert [course[1]["filled"] < 8, course[-1]["filled"]] == [True, 8]
        for loss, level in (("dLoss", 1.30), ("gLoss", 0.78)):
            later = [count[loss] for count in course[1:]]
            assert max(abs(value - later[0]) for value in later) < 0.05
            assert np.mean(later) == pytest.approx(level, abs=0.02)


def test_a_faster_discriminator_cures_the_collapse():
    phases = [(200, COLLAPSE), (500, COLLAPSE | {"dRate": 8e-3})]
    for course in games(phases):
        sick, cured = course[:2], course[2:]
        assert max(count["found"] for count in sick) <= 2
        assert sick[-1]["dLoss"] == pytest.approx(1.38, abs=0.03)
        assert sick[-1]["gLoss"] == pytest.approx(0.70, abs=0.03)
        assert max(count["filled"] for count in cured) == 8


def test_a_slower_discriminator_collapses_the_healthy_game():
    for course in games([(300, HEALTHY | {"dRate": 5e-4})]):
        assert max(count["filled"] for count in course) <= 3


def test_the_presets_of_the_page_are_those_that_were_tried():
    source = (FOLDER / "gan.js").read_text(encoding="utf-8")
    for name, value in HEALTHY.items():
        number = f"{name}: {json.dumps(value)}".replace("0.001", "1e-3").replace("0.003", "3e-3")
        assert number in source.split("const HEALTHY")[1].split(";")[0]
    assert "COLLAPSE = { ...HEALTHY, gRate: 2e-3, dRate: 5e-4, beta1: 0.5 }" in source
    assert not re.search("ANSWER[0-9]", source)
