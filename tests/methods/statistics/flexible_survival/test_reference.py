"""The APGW distribution against a second implementation at 50 digits, and against scipy's named families."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from broadsheet.methods.statistics import APGW

from .reference_apgw import (
    cumulative_hazard,
    draw_times,
    exact_cumulative_hazard,
    exact_exp,
    exact_log_hazard,
    exact_quantile,
    log_hazard,
    shape_by_grid,
    slack,
)

# ---------------------------------------------------------------- the adapter: what the method calls things
SHAPES = {
    "constant": "constant",
    "increasing": "increasing",
    "decreasing": "decreasing",
    "up-down": "up then down",
    "down-up": "down then up",
}


def shape_of(distribution):
    return distribution.hazard_shape()


def turning_point_of(distribution):
    return distribution.turning_point()


def cure_fraction_of(distribution):
    return distribution.cure_fraction()


def draws_of(distribution, size, seed):
    return distribution.rvs(size, random_state=seed)


# ---------------------------------------------------------------- where to look
INF = float("inf")
CURED = [-1 + 1e-12, -1 + 1e-6, -0.999, -0.4, -1e-3, -1e-5, -1e-8, -1e-16, -1e-300]
LASTING = [0.0, 1e-300, 1e-16, 1e-8, 1e-5, 1e-3, 0.2, 1 - 1e-12, 1.0, 2.0, 50.0, 1e3, 1e9, INF]
KAPPAS = CURED + LASTING
TIMES = np.array([1e-300, 1e-30, 1e-6, 0.9, 1.0, 40.0, 1e6, 1e30, 1e300])
SCALES = [(1.0, 1.0, 1.0), (1.3, 0.6, 1.7), (1e-5, 1e4, 0.05), (2.0, 0.01, 300.0)]
TAILS = np.array([1e-300, 1e-16, 1e-6, 0.3, 0.5, 0.9, 1 - 1e-9, 1 - 1e-15])
MAX = mpmath.mpf(float(np.finfo(float).max))
TINY = 1e-307  # below this a float is subnormal and has lost digits of its own


def assert_close(got, exact, relative, what):
    """Compare a float with a number of any size: beyond the floats it must be inf, below them nearly 0."""
    if exact > MAX * (1 + mpmath.mpf(relative)):
        assert got == INF, f"{what}: got {got}, exact is beyond the floats"
    elif exact > MAX * (1 - mpmath.mpf(relative)):
        assert got > 1e300, f"{what}: got {got}"
    else:
        error = abs(mpmath.mpf(float(got)) - exact)
        allowed = relative * exact + TINY
        assert error <= allowed, (
            f"{what}: got {got!r}, exact {mpmath.nstr(exact, 20)}, allowed {relative:.2g}"
        )


# ---------------------------------------------------------------- the reference is right about itself
def test_the_two_references_agree_and_invert_each_other():
    lam, phi, gamma = 1.3, 0.6, 1.7
    for kappa in (-0.999, -0.4, 0.0, 0.2, 1.0, 3.0, INF):
        for t in (0.01, 0.3, 1.0, 2.5):
            logs = (np.log(lam), np.log(phi), np.log(gamma), kappa)
            exact = exact_cumulative_hazard(t, lam, phi, gamma, kappa)
            assert float(cumulative_hazard(t, *logs)) == pytest.approx(float(exact), rel=1e-12)
            exact_log_h = exact_log_hazard(t, lam, phi, gamma, kappa)
            assert float(log_hazard(t, *logs)) == pytest.approx(float(exact_log_h), abs=1e-12)
            slope = mpmath.diff(lambda s, k=kappa: exact_cumulative_hazard(s, lam, phi, gamma, k), t)
            assert abs(mpmath.log(slope) - exact_log_h) < 1e-12
            assert abs(exact_quantile(exact, lam, phi, gamma, kappa) / t - 1) < 1e-40


def test_the_references_draws_follow_the_reference():
    rng = np.random.default_rng(5)
    for kappa in (-0.4, 0.0, 2.0, INF):
        t = draw_times(rng, 0.2, -0.4, 0.3, kappa, size=4000)
        alive = np.isfinite(t)
        cured = np.exp(np.exp(0.2) * (kappa + 1) / kappa) if kappa < 0 else 0.0
        assert np.mean(~alive) == pytest.approx(cured, abs=4 * np.sqrt(0.25 / t.size))
        share = -np.expm1(-cumulative_hazard(t[alive], 0.2, -0.4, 0.3, kappa)) / (1 - cured)
        assert stats.kstest(share, "uniform").pvalue > 1e-3


# ---------------------------------------------------------------- 50 digits
@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize(("lam", "phi", "gamma"), SCALES)
def test_hazards_and_survival_hold_at_the_corners(lam, phi, gamma, kappa):
    d = APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa)
    got = {
        name: getattr(d, name)(TIMES)
        for name in ("cumhazard", "logsf", "sf", "hazard", "logpdf", "pdf", "cdf")
    }
    for i, t in enumerate(TIMES):
        where = f"at t={t}, kappa={kappa}"
        exact = exact_cumulative_hazard(t, lam, phi, gamma, kappa)
        log_h = exact_log_hazard(t, lam, phi, gamma, kappa)
        allowed = slack(t, lam, phi, gamma, kappa)
        assert_close(got["cumhazard"][i], exact, allowed.hazard, f"cumhazard {where}")
        assert_close(-got["logsf"][i], exact, allowed.hazard, f"-logsf {where}")
        assert_close(got["hazard"][i], exact_exp(log_h), allowed.log_hazard, f"hazard {where}")
        in_h = (
            float(min(exact, mpmath.mpf(750))) * allowed.hazard
        )  # beyond 750 S and f are 0 whatever the error
        assert_close(got["sf"][i], exact_exp(-exact), in_h + 1e-15, f"sf {where}")
        assert_close(
            got["cdf"][i],
            -mpmath.expm1(-min(exact, mpmath.mpf(10_000))),
            allowed.hazard + 1e-15,
            f"cdf {where}",
        )
        in_f = in_h + allowed.log_hazard
        assert_close(got["pdf"][i], exact_exp(log_h - exact), in_f, f"pdf {where}")
        log_f = log_h - exact
        if log_f < -MAX:
            assert got["logpdf"][i] == -INF, f"logpdf {where}: got {got['logpdf'][i]}"
        else:
            error = abs(mpmath.mpf(float(got["logpdf"][i])) - log_f)
            assert error <= allowed.log_hazard + exact * allowed.hazard, f"logpdf {where}"


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize(("lam", "phi", "gamma"), SCALES)
def test_quantiles_hold_in_both_tails(lam, phi, gamma, kappa):
    d = APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa)
    for name, to_hazard in (("ppf", lambda u: -mpmath.log1p(-u)), ("isf", lambda q: -mpmath.log(q))):
        found = getattr(d, name)(TAILS)
        for tail, got in zip(TAILS, found, strict=True):
            with mpmath.workdps(60):
                e = to_hazard(mpmath.mpf(float(tail)))
                exact = exact_quantile(e, lam, phi, gamma, kappa)
            what = f"{name}({tail}), kappa={kappa}"
            if exact == mpmath.inf:
                assert got == INF, f"{what}: got {got}, but this share is cured"
                continue
            allowed = slack(exact, lam, phi, gamma, kappa).time
            if allowed < 0.01:  # else the quantile is not determined in double precision
                assert_close(got, exact, allowed, what)


def test_the_limit_kappa_0_is_passed_without_a_step():
    t = np.geomspace(1e-3, 1e3, 25)
    at_zero = APGW(lam=1.3, phi=0.6, gamma=1.7, kappa=0.0).logsf(t)
    for kappa in (-1e-6, -1e-9, -1e-12, -1e-15, 1e-15, 1e-12, 1e-9, 1e-6):
        near = APGW(lam=1.3, phi=0.6, gamma=1.7, kappa=kappa).logsf(t)
        # d H / d kappa is at most about L^2 + L, L < 13 here.
        assert np.max(np.abs(near - at_zero)) <= 200 * abs(kappa) + 1e-13


def test_a_large_kappa_nears_the_exact_limit():
    t = np.linspace(0.05, 3, 40)
    limit = APGW(lam=0.3, phi=0.8, gamma=1.0, kappa=INF).sf(t)
    gaps = [np.max(np.abs(APGW(lam=0.3, phi=0.8, gamma=1.0, kappa=k).sf(t) - limit)) for k in (1e3, 1e6, 1e9)]
    assert gaps[0] < 2e-3
    assert gaps[1] < gaps[0] / 500
    assert gaps[2] < gaps[1] / 500


# ---------------------------------------------------------------- named families
LAM, PHI, GAMMA = 1.3, 0.6, 1.7
FAMILIES = {
    "weibull": (
        APGW(lam=LAM, phi=PHI, gamma=GAMMA, kappa=1.0),
        stats.weibull_min(c=GAMMA, scale=LAM ** (-1 / GAMMA) / PHI),
    ),
    "burr XII": (APGW(lam=LAM, phi=PHI, gamma=GAMMA, kappa=0.0), stats.burr12(c=GAMMA, d=LAM, scale=1 / PHI)),
    "log-logistic": (APGW(lam=1.0, phi=PHI, gamma=GAMMA, kappa=0.0), stats.fisk(c=GAMMA, scale=1 / PHI)),
    "gompertz": (APGW(lam=LAM, phi=PHI, gamma=1.0, kappa=INF), stats.gompertz(c=LAM, scale=1 / PHI)),
    "exponential": (APGW(lam=LAM, phi=PHI, gamma=1.0, kappa=1.0), stats.expon(scale=1 / (LAM * PHI))),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_named_families_equal_scipys(family):
    ours, theirs = FAMILIES[family]
    t = np.geomspace(1e-3, 6, 60)
    u = np.array([1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999])
    for name in ("sf", "logsf", "cdf", "pdf", "logpdf"):
        np.testing.assert_allclose(getattr(ours, name)(t), getattr(theirs, name)(t), rtol=1e-10, atol=1e-10)
    for name in ("ppf", "isf"):
        np.testing.assert_allclose(getattr(ours, name)(u), getattr(theirs, name)(u), rtol=1e-10)


def test_the_hazard_is_linear_at_kappa_2_gamma_1():
    t = np.linspace(0.1, 9, 30)
    hazard = APGW(lam=0.7, phi=0.4, gamma=1.0, kappa=2.0).hazard(t)
    np.testing.assert_allclose(hazard, 0.7 * 0.4 * (1 + 0.4 * t / 3), rtol=1e-13)


# ---------------------------------------------------------------- the functions fit each other
MODERATE = [
    (lam, phi, gamma, kappa)
    for lam, phi, gamma in ((1.0, 1.0, 1.0), (0.5, 0.7, 2.5), (2.0, 0.1, 0.4))
    for kappa in (-0.9, -0.4, 0.0, 0.2, 1.0, 2.0, 8.0, INF)
]


@pytest.mark.parametrize("parameters", MODERATE)
def test_the_hazard_is_the_slope_of_minus_log_s(parameters):
    lam, phi, gamma, kappa = parameters
    d = APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa)
    t = np.array([0.1, 0.5, 1.0, 1.4])
    step = 1e-5 * t
    slope = (d.logsf(t - step) - d.logsf(t + step)) / (2 * step)
    np.testing.assert_allclose(d.hazard(t), slope, rtol=1e-6)
    np.testing.assert_allclose(d.pdf(t), d.hazard(t) * d.sf(t), rtol=1e-12)
    np.testing.assert_allclose(d.logpdf(t), np.log(d.pdf(t)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("parameters", MODERATE)
def test_the_density_holds_all_mass_but_the_cured(parameters):
    lam, phi, gamma, kappa = parameters
    d = APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa)
    # Over log t, where the density has no pole at 0.
    mass, _ = integrate.quad(
        lambda z: float(d.pdf(np.exp(z)) * np.exp(z)), -60, 120, limit=400, points=[-5, 0, 5]
    )
    cured = np.exp(lam * (kappa + 1) / kappa) if kappa < 0 else 0.0
    assert mass == pytest.approx(1 - cured, abs=1e-6)


@pytest.mark.parametrize("parameters", MODERATE)
def test_quantiles_undo_the_distribution(parameters):
    lam, phi, gamma, kappa = parameters
    d = APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa)
    t = np.geomspace(0.01, 1.5, 20)
    np.testing.assert_allclose(d.isf(d.sf(t)), t, rtol=1e-9)
    np.testing.assert_allclose(d.ppf(d.cdf(t)), t, rtol=1e-9)


def test_the_ends_of_the_axis():
    for kappa in (-0.4, 0.0, 1.0, INF):
        d = APGW(lam=0.8, phi=0.6, gamma=1.7, kappa=kappa)
        assert d.sf(0.0) == 1
        assert d.cdf(0.0) == 0
        assert d.cumhazard(0.0) == 0
        assert d.ppf(0.0) == 0
        assert d.isf(1.0) == 0
        assert d.ppf(1.0) == INF
        assert d.isf(0.0) == INF
        assert d.sf(INF) == pytest.approx(np.exp(0.8 * 0.6 / -0.4) if kappa < 0 else 0.0, rel=1e-14)


@pytest.mark.parametrize("kappa", CURED)
def test_the_cured_share_is_the_limit_of_s(kappa):
    lam = 0.7
    d = APGW(lam=lam, phi=0.5, gamma=1.3, kappa=kappa)
    with mpmath.workdps(60):
        exact = mpmath.exp(mpmath.mpf(lam) * (mpmath.mpf(kappa) + 1) / mpmath.mpf(kappa))
    allowed = 1e-14 + 1e-15 * lam / abs(kappa) if lam / abs(kappa) < 1e10 else 0.0
    assert_close(cure_fraction_of(d), exact, allowed, "cure fraction")
    assert_close(d.sf(INF), exact, allowed, "S(inf)")
    share = float(exact)
    if 1e-3 < share < 0.999:
        assert d.isf(share * (1 - 1e-9)) == INF
        assert np.isfinite(d.isf(share * 1.01))


def test_nobody_is_cured_unless_kappa_is_negative():
    assert all(cure_fraction_of(APGW(lam=0.7, phi=0.5, gamma=1.3, kappa=k)) == 0 for k in LASTING)


# ---------------------------------------------------------------- moments
@pytest.mark.parametrize(
    ("lam", "phi", "gamma", "kappa"),
    [
        (1.0, 0.7, 1.0, 1.0),
        (1.3, 0.6, 1.7, 0.0),
        (0.5, 0.7, 2.5, 0.2),
        (0.5, 0.7, 1.0, 0.05),
        (2.0, 0.1, 0.4, 3.0),
        (1.0, 1.0, 50.0, 2.0),
        (1e-3, 1.0, 1.0, INF),
        (10.0, 1.0, 0.3, INF),
        (
            1.0,
            1.0,
            1.0,
            1e-3,
        ),  # kappa above 0 has every moment, however near the log-logistic, which has none
        (1.0, 1.0, 1.0, 1e-5),
    ],
)
def test_the_mean_is_that_of_transformed_exponentials(lam, phi, gamma, kappa):
    # T is the quantile function of H at a unit exponential; over its logarithm, where the trapezoidal rule converges
    # faster than any power of its step.
    step = 0.1
    exact = 0
    for z in np.arange(-90, 9, step):
        e = mpmath.exp(z)
        exact += step * exact_quantile(e, lam, phi, gamma, kappa) * mpmath.exp(z - e)
    if kappa == 0:
        exact = lam * mpmath.beta(lam - 1 / mpmath.mpf(gamma), 1 + 1 / mpmath.mpf(gamma)) / phi
    assert APGW(lam=lam, phi=phi, gamma=gamma, kappa=kappa).mean() == pytest.approx(float(exact), rel=1e-8)


def test_the_mean_is_infinite_where_it_is():
    assert APGW(lam=1.0, gamma=1.0, kappa=0.0).mean() == INF
    assert APGW(lam=0.5, gamma=1.9, kappa=0.0).mean() == INF
    assert APGW(lam=5.0, gamma=3.0, kappa=-0.1).mean() == INF


# ---------------------------------------------------------------- hazard shapes
PLANE = [
    (gamma, kappa)
    for gamma in (0.2, 0.5, 0.8, 0.99, 1.0, 1.01, 1.4, 2.0, 5.0)
    for kappa in (-0.95, -0.5, 0.0, 0.1, 0.2, 0.5, 0.7, 1.0, 1.1, 1.25, 2.0, 5.0, 12.0)
]


@pytest.mark.parametrize(("gamma", "kappa"), PLANE)
def test_shape_and_turning_point_are_those_of_a_grid_search(gamma, kappa):
    d = APGW(lam=1.9, phi=0.7, gamma=gamma, kappa=kappa)
    shape, turn = shape_by_grid(0.7, gamma, kappa)
    assert shape_of(d) == SHAPES[shape]
    found = turning_point_of(d)
    if np.isnan(turn):
        assert found is None or np.isnan(found)
    else:
        assert found == pytest.approx(turn, rel=1e-4)  # a parabola's tip, found from its values
        assert d.hazard(found) == pytest.approx(d.hazard(turn), rel=1e-9)


def test_shapes_in_the_limit_of_kappa():
    # gamma >= 1: always up.  gamma < 1: first down as a power, then up as an exponential, turning at x = (1-g)/g.
    assert shape_of(APGW(lam=1.0, phi=0.7, gamma=1.5, kappa=INF)) == SHAPES["increasing"]
    d = APGW(lam=1.0, phi=0.7, gamma=0.5, kappa=INF)
    assert shape_of(d) == SHAPES["down-up"]
    assert turning_point_of(d) == pytest.approx(1 / 0.7, rel=1e-12)


def test_the_turning_point_of_the_worked_example():
    d = APGW(lam=1.0, phi=0.7, gamma=2.0, kappa=0.2)
    assert turning_point_of(d) == pytest.approx(2.02031, abs=5e-6)


# ---------------------------------------------------------------- draws
@pytest.mark.parametrize("kappa", [-0.8, -0.4, 0.0, 0.3, 1.0, 3.0, INF])
def test_draws_follow_the_closed_form(kappa):
    d = APGW(lam=0.9, phi=0.6, gamma=1.4, kappa=kappa)
    t = np.asarray(draws_of(d, 4000, 11))
    assert t.shape == (4000,)
    assert (t > 0).all()
    cured = np.exp(0.9 * (kappa + 1) / kappa) if kappa < 0 else 0.0
    assert np.mean(np.isinf(t)) == pytest.approx(cured, abs=4 * np.sqrt(cured * (1 - cured) / t.size))
    share = -np.expm1(-cumulative_hazard(t[np.isfinite(t)], np.log(0.9), np.log(0.6), np.log(1.4), kappa))
    assert stats.kstest(share / (1 - cured), "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(t, draws_of(d, 4000, 11))


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, bad) for name in ("lam", "phi", "gamma") for bad in (0.0, -1.0, float("nan"), INF)],
        *[("kappa", bad) for bad in (-1.0, -1.5, float("nan"), -INF)],
    ],
)
def test_a_parameter_out_of_range_is_named(name, value):
    parameters = {"lam": 1.0, "phi": 1.0, "gamma": 1.0, "kappa": 1.0, name: value}
    with pytest.raises(ValueError, match=name):
        APGW(**parameters)
