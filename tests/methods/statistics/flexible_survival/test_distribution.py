"""The distribution: SciPy's families, consistency of its functions, quantiles, shapes, moments, cure."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from broadsheet.methods.statistics import APGW

TIMES = np.geomspace(1e-4, 1e3, 300)
positive = st.floats(0.05, 20.0)
shapes = st.floats(0.2, 6.0)
kappas = st.one_of(st.floats(-0.95, 8.0), st.sampled_from([-0.5, 0.0, 1.0, 2.0, np.inf]))


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("lam", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("phi", [0.1, 3.0])
def test_named_families_are_members(lam, phi, gamma):
    pairs = [
        (APGW(lam, phi, gamma, 1.0), stats.weibull_min(gamma, scale=lam ** (-1 / gamma) / phi)),
        (APGW(lam, phi, gamma, 0.0), stats.burr12(gamma, lam, scale=1 / phi)),
        (APGW(1.0, phi, gamma, 0.0), stats.fisk(gamma, scale=1 / phi)),
        (APGW(lam, phi, 1.0, np.inf), stats.gompertz(lam, scale=1 / phi)),
    ]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for ours, scipys in pairs:
            for name in ("sf", "cdf", "pdf"):
                np.testing.assert_allclose(
                    getattr(ours, name)(TIMES), getattr(scipys, name)(TIMES), rtol=1e-8, atol=1e-12
                )


def test_kappa_two_has_a_linear_hazard_at_gamma_one():
    hazard = APGW(lam=0.7, phi=0.4, gamma=1.0, kappa=2.0).hazard(np.linspace(0.1, 9.0, 30))
    np.testing.assert_allclose(np.diff(hazard, 2), 0.0, atol=1e-13)


@given(lam=positive, phi=positive, gamma=shapes, kappa=kappas, q=st.floats(1e-6, 1 - 1e-6))
def test_quantile_undoes_the_distribution_function(lam, phi, gamma, kappa, q):
    lifetime = APGW(lam, phi, gamma, kappa)
    t = lifetime.ppf(q)
    if np.isposinf(t):
        # only the cured, or times beyond what a double holds
        assert lifetime.cure_fraction() > 1 - q - 1e-9 or kappa < 0.05
    elif t > 0:
        # near a plateau a time says little about the probability; the other way round it must hold
        assert lifetime.cdf(t) == pytest.approx(q, rel=1e-8, abs=1e-10)
    assert lifetime.isf(1 - q) == pytest.approx(t, rel=1e-6)


@given(lam=positive, phi=positive, gamma=shapes, kappa=kappas)
def test_survival_falls_from_one_and_the_density_is_its_slope(lam, phi, gamma, kappa):
    lifetime = APGW(lam, phi, gamma, kappa)
    t = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 60) / phi])
    S = lifetime.sf(t)
    assert S[0] == 1.0
    assert (np.diff(S) <= 0).all()
    assert (S >= 0).all()
    step = 1e-6
    inner = t[1:]
    slope = (lifetime.cdf(inner * (1 + step)) - lifetime.cdf(inner * (1 - step))) / (2 * step * inner)
    density = lifetime.pdf(inner)
    np.testing.assert_allclose(slope, density, rtol=2e-4, atol=1e-6 * max(1.0, density.max()))


@given(lam=positive, phi=positive, gamma=shapes, kappa=kappas, scale=st.floats(1e-3, 1e3))
def test_a_change_of_the_unit_of_time_is_a_change_of_phi(lam, phi, gamma, kappa, scale):
    t = np.array([0.1, 1.0, 5.0])
    one, other = APGW(lam, phi, gamma, kappa), APGW(lam, phi / scale, gamma, kappa)
    np.testing.assert_allclose(one.sf(t), other.sf(scale * t), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(one.hazard(t), scale * other.hazard(scale * t), rtol=1e-7, atol=1e-300)


def test_cured_subjects_make_up_what_the_density_lacks():
    lifetime = APGW(0.8, 0.5, 1.4, -0.4)
    mass = integrate.quad(lambda v: lifetime.pdf(np.exp(v)) * np.exp(v), -40, 120, limit=400)[0]
    assert mass + lifetime.cure_fraction() == pytest.approx(1.0, abs=1e-9)
    assert lifetime.sf(np.inf) == pytest.approx(float(lifetime.cure_fraction()))
    assert lifetime.ppf(0.999) == np.inf
    assert lifetime.pdf(np.inf) == 0.0


def test_draws_follow_the_distribution_and_the_seed():
    lifetime = APGW(0.8, 0.5, 1.4, 0.6)
    drawn = lifetime.rvs(5000, random_state=3)
    assert stats.kstest(drawn, lifetime.cdf).pvalue > 0.001
    np.testing.assert_array_equal(drawn, lifetime.rvs(5000, random_state=3))
    cured = APGW(0.8, 0.5, 1.4, -0.4)
    share = np.isinf(cured.rvs(20_000, random_state=4)).mean()
    assert share == pytest.approx(float(cured.cure_fraction()), abs=0.015)  # four standard errors


@pytest.mark.parametrize(
    ("gamma", "kappa", "shape"),
    [
        (1.0, 1.0, "constant"),
        (1.5, 1.0, "increasing"),
        (1.0, 2.0, "increasing"),
        (0.5, 1.0, "decreasing"),
        (0.5, 2.0, "decreasing"),
        (1.25, 0.8, "increasing"),
        (2.0, 0.2, "up then down"),
        (2.0, -0.5, "up then down"),
        (0.5, 3.0, "down then up"),
        (0.5, np.inf, "down then up"),
        (1.0, np.inf, "increasing"),
    ],
)
def test_shape_in_words(gamma, kappa, shape):
    lifetime = APGW(1.0, 0.7, gamma, kappa)
    assert lifetime.hazard_shape() == shape
    assert np.isnan(lifetime.turning_point()) == ("then" not in shape)


@pytest.mark.parametrize(("gamma", "kappa"), [(2.0, 0.2), (1.4, -0.3), (0.5, 3.0), (0.6, np.inf)])
def test_the_hazard_is_flat_at_its_turning_point(gamma, kappa):
    lifetime = APGW(1.3, 0.7, gamma, kappa)
    t = lifetime.turning_point()
    around = lifetime.log_hazard(t * np.array([0.99, 1.0, 1.01]))
    side = -1 if lifetime.hazard_shape() == "up then down" else 1
    assert side * (around[0] - around[1]) > 0
    assert side * (around[2] - around[1]) > 0
    assert abs(around[2] - around[0]) < 1e-4 * abs(around[0] - around[1]) + 1e-5


def test_turning_point_of_the_worked_example():
    assert APGW(phi=0.7, gamma=2.0, kappa=0.2).turning_point() == pytest.approx(2.02031, abs=5e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        (0.7, 0.5, 1.4, 1.0),
        (3.0, 2.0, 1.2, 0.0),
        (0.5, 1.0, 1.2, 0.1),
        (5.0, 1.0, 0.3, 0.5),
        (1.0, 1.0, 2.0, np.inf),
    ],
)
def test_moments_are_integrals_of_the_density(parameters):
    lifetime = APGW(*parameters)
    for order in (1, 2):
        wanted = integrate.quad(
            lambda v, o=order: np.exp(o * v) * lifetime.pdf(np.exp(v)) * np.exp(v),
            -40,
            40,
            limit=2000,
            points=[float(np.log(lifetime.median()))],
        )[0]
        assert lifetime.moment(order) == pytest.approx(wanted, rel=1e-6)


def test_means_that_do_not_exist_are_infinite():
    assert APGW(kappa=-0.2).mean() == np.inf  # cured
    assert APGW(lam=1.0, gamma=0.9, kappa=0.0).mean() == np.inf  # Pareto-like tail
    assert APGW(lam=1.0, gamma=3.0, kappa=0.0).mean() < np.inf
    assert np.isnan(APGW(kappa=-0.2).std())


def test_behaviour_at_the_ends():
    for gamma, density in ((0.5, np.inf), (1.0, 0.6), (2.0, 0.0)):
        assert APGW(2.0, 0.3, gamma, 0.4).pdf(0.0) == pytest.approx(density)
    lifetime = APGW(2.0, 0.3, 1.5, 0.4)
    assert (lifetime.pdf(-1.0), lifetime.sf(-1.0), lifetime.hazard(-1.0)) == (0.0, 1.0, 0.0)
    assert np.isnan(lifetime.sf(np.nan))
    assert np.isnan(lifetime.pdf(np.nan))
    assert np.isnan(lifetime.ppf([-0.1, 1.1])).all()
    assert lifetime.ppf(0.0) == 0.0
    assert lifetime.ppf(1.0) == np.inf


def test_parameters_broadcast_with_times():
    lifetime = APGW(lam=[1.0, 2.0], kappa=[[0.0], [1.0], [np.inf]])
    assert lifetime.shape == (3, 2)
    assert lifetime.sf(np.ones((4, 1, 1))).shape == (4, 3, 2)
    assert lifetime.hazard_shape().shape == (3, 2)
    assert lifetime.mean().shape == (3, 2)
    assert lifetime.rvs((5, 3, 2), random_state=0).shape == (5, 3, 2)
    assert "array(2,)" in repr(lifetime).replace(" ", "") or "array(2,)" in repr(lifetime)


def test_it_can_be_pickled():
    lifetime = pickle.loads(pickle.dumps(APGW(1, 2, 3, 0.5)))
    assert lifetime.sf(0.3) == APGW(1, 2, 3, 0.5).sf(0.3)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"lam": 0.0}, "lam must be > 0 and finite, got 0"),
        ({"phi": -2.0}, "phi must be > 0 and finite, got -2"),
        ({"gamma": np.inf}, "gamma must be > 0 and finite, got inf"),
        ({"kappa": -1.0}, "kappa must be > -1"),
        ({"kappa": np.nan}, "kappa must be > -1"),
        ({"lam": [1.0, 2.0], "phi": [1.0, 2.0, 3.0]}, "must broadcast"),
    ],
)
def test_bad_parameters_are_named(given_, message):
    with pytest.raises(ValueError, match=message):
        APGW(**given_)


def test_bad_calls_are_named():
    with pytest.raises(ValueError, match="order must be > 0, got 0"):
        APGW().moment(0)
    with pytest.raises(ValueError, match="size must hold the parameters' shape"):
        APGW(lam=[1.0, 2.0]).rvs(3)
