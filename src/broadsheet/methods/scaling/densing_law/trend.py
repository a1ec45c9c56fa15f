"""How the best density grows with time: an exponential line through the envelope, with its uncertainty."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.densing_law.envelope import bootstrap_lines, line, records
from broadsheet.methods.scaling.densing_law.growth import doubling_time
from broadsheet.methods.scaling.densing_law.scores import Floats, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DensingTrend"]


class DensingTrend(BaseEstimator):  # type: ignore[misc]
    """The line ``ln density_max = A t + B`` through the envelope, t in days.

    Args:
        origin: Day 0, anything that pandas reads as a date; None: the first release.

    Attributes:
        A_: Growth rate of the logarithm, per day.
        B_: Logarithm of the line at day 0.
        doubling_days_: ``ln 2 / A``; negative if the line falls.
        r2_: Share of the variance of the envelope's logarithms that the line explains.
        envelope_: Frame of the models that set a record: ``date``, ``days``, ``density`` and the columns that were
            named in :meth:`fit`.
        n_models_: Models with a density.
        n_undefined_: Rows left out because their density is NaN.
        origin_: Day 0.

    Source:
        The densing law: the fit of the maximum density over time.

    Example:
        >>> dates = pd.date_range("2023-03-01", periods=8, freq="90D")
        >>> frame = pd.DataFrame({"date": dates, "density": 0.1 * 2.0 ** np.arange(8)})
        >>> trend = DensingTrend().fit(frame)
        >>> round(trend.doubling_days_, 6), round(trend.r2_, 6)
        (90.0, 1.0)
    """

    def __init__(self, origin: Any = None) -> None:
        self.origin = origin

    def fit(
        self,
        frame: pd.DataFrame,
        date: str = "date",
        density: str = "density",
        *,
        model: str | None = None,
        family: str | None = None,
        exclude: Iterable[str] = (),
        today: dt.date | None = None,
    ) -> DensingTrend:
        """Find the envelope and fit the line.

        Args:
            frame: A row per model.
            date: Column of release dates.
            density: Column of densities, > 0; rows with NaN are left out and counted.
            model: Column of names, for the envelope's table and for labels.
            family: Column of families, for ``exclude`` and :meth:`influence`.
            exclude: Families to leave out, for example those whose scores are suspected of contamination.
            today: No release lies after it; by default the day on which this runs.

        Returns:
            Itself.

        Raises:
            ValueError: if a date cannot be read or lies in the future, a density is not positive, an excluded family
                is not there, all dates are equal, or the envelope has a single point.
            KeyError: if a column is not there.
        """
        when = self._dates(frame, date, today)
        values = pd.to_numeric(column(frame, density), errors="coerce").to_numpy(float)
        bad = np.flatnonzero((values <= 0) | np.isinf(values))
        if len(bad):
            raise ValueError(
                f"column {density!r}: densities must be positive and finite, got {values[bad[0]]:g} in row "
                f"{frame.index[bad[0]]!r}"
            )
        kept = np.isfinite(values) & ~self._excluded(frame, family, exclude)
        self.n_undefined_ = int(np.isnan(values).sum())
        if not kept.any():
            raise ValueError(f"column {density!r}: no row with a density is left")
        self.origin_ = pd.Timestamp(self.origin) if self.origin is not None else when[kept].min()
        table = pd.DataFrame(
            {"date": when, "days": (when - self.origin_).dt.total_seconds() / 86_400.0, "density": values}
        )
        for name in (model, family):
            if name is not None:
                table[name] = column(frame, name)
        self._fit(table[kept])
        self._model, self._family = model, family
        return self

    def _fit(self, models: pd.DataFrame) -> None:
        if models["days"].nunique() < 2:
            raise ValueError(
                f"all models have the date {models['date'].iloc[0].date()}; a trend needs at least 2 dates"
            )
        self._models = models
        self.n_models_ = len(models)
        places = records(models["days"], models["density"])
        if len(places) < 2:
            only = models.iloc[places[0]]
            raise ValueError(
                f"no later model is denser than that of {only['date'].date()} (density {only['density']:.3g}): the "
                "envelope is a single point and has no slope"
            )
        self.envelope_ = models.iloc[places].reset_index(drop=True)
        self.A_, self.B_, self.r2_ = line(self.envelope_["days"], np.log(self.envelope_["density"]))
        self.doubling_days_ = doubling_time(self.A_)

    def _dates(self, frame: pd.DataFrame, date: str, today: dt.date | None) -> pd.Series:
        when = pd.to_datetime(column(frame, date), errors="coerce", format="mixed")
        unread = np.flatnonzero(when.isna())
        if len(unread):
            raise ValueError(
                f"column {date!r}: cannot read {frame[date].iloc[unread[0]]!r} in row {frame.index[unread[0]]!r} as "
                "a date"
            )
        last = pd.Timestamp(today or dt.date.today())
        late = np.flatnonzero(when > last)
        if len(late):
            raise ValueError(
                f"column {date!r}: {when.iloc[late[0]].date()} in row {frame.index[late[0]]!r} lies after "
                f"{last.date()}; give release dates, or today="
            )
        return pd.Series(when)

    @staticmethod
    def _excluded(frame: pd.DataFrame, family: str | None, exclude: Iterable[str]) -> Any:
        names = [exclude] if isinstance(exclude, str) else list(exclude)
        if not names:
            return np.zeros(len(frame), bool)
        if family is None:
            raise ValueError(f"exclude={names!r} needs family=, the column that names families")
        families = column(frame, family)
        unknown = sorted(set(names) - set(families))
        if unknown:
            raise ValueError(
                f"exclude: there is no family {unknown[0]!r}; families are "
                f"{', '.join(sorted(map(str, set(families))))}"
            )
        return families.isin(names).to_numpy()

    def bootstrap(self, n_boot: int = 2000, random_state: int = 0) -> Floats:
        """Resample models, not envelope points, and compute the envelope of every sample anew.

        Args:
            n_boot: Samples, >= 20.
            random_state: Seed.

        Returns:
            (n_boot, 2); A per day and B; NaN where a sample's envelope is a single point.

        Raises:
            ValueError: if the envelope has fewer than 4 points, or ``n_boot`` is below 20.
        """
        check_is_fitted(self, "A_")
        if len(self.envelope_) < 4:
            raise ValueError(
                f"an interval needs at least 4 envelope points, got {len(self.envelope_)}: add models, or report the "
                "slope without an interval"
            )
        if n_boot < 20:
            raise ValueError(f"n_boot must be at least 20, got {n_boot!r}")
        rng = np.random.default_rng(random_state)
        days, values = (self._models[c].to_numpy(float) for c in ("days", "density"))
        return bootstrap_lines(days, np.log(values), n_boot, rng)

    def confint(self, level: float = 0.95, n_boot: int = 2000, random_state: int = 0) -> pd.DataFrame:
        """Return percentile intervals over resampled models.

        Args:
            level: In (0, 1).
            n_boot: Samples.
            random_state: Seed.

        Returns:
            Rows ``A`` (per day) and ``doubling_days``; columns ``estimate``, ``lower``, ``upper``. Where the
            interval of A reaches 0 or below, the doubling time has no upper end (``inf``).

        Raises:
            ValueError: as :meth:`bootstrap`, or if ``level`` is out of range.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        rates = self.bootstrap(n_boot, random_state)[:, 0]
        tail = 0.5 * (1.0 - level)
        low, high = (float(q) for q in np.nanquantile(rates, [tail, 1.0 - tail]))
        ends = [np.inf if high <= 0 else np.log(2.0) / high, np.inf if low <= 0 else np.log(2.0) / low]
        return pd.DataFrame(
            {
                "estimate": [self.A_, self.doubling_days_],
                "lower": [low, ends[0]],
                "upper": [high, ends[1]],
            },
            index=["A", "doubling_days"],
        )

    def predict(
        self, dates: Any, *, interval: float | None = None, n_boot: int = 2000, random_state: int = 0
    ) -> pd.DataFrame:
        """Return the line's density at dates.

        Args:
            dates: One date or several.
            interval: Level of a band of the line from resampled models, or None.
            n_boot: Samples.
            random_state: Seed.

        Returns:
            A frame with ``date``, ``density`` and, where asked for, ``lower`` and ``upper``.

        Raises:
            ValueError: if ``interval`` is out of range, or as :meth:`bootstrap`.
        """
        check_is_fitted(self, "A_")
        when = pd.DatetimeIndex(pd.to_datetime(np.atleast_1d(np.asarray(dates))))
        days = np.asarray((when - self.origin_).total_seconds()) / 86_400.0
        frame = pd.DataFrame({"date": when, "density": np.exp(self.A_ * days + self.B_)})
        if interval is not None:
            if not 0.0 < interval < 1.0:
                raise ValueError(f"interval must lie between 0 and 1, got {interval!r}")
            drawn = self.bootstrap(n_boot, random_state)
            logs = drawn[:, :1] * days + drawn[:, 1:]
            tail = 0.5 * (1.0 - interval)
            low, high = np.exp(np.nanquantile(logs, [tail, 1.0 - tail], axis=0))
            frame["lower"], frame["upper"] = low, high
        return frame

    def influence(self) -> pd.DataFrame:
        """Return how the doubling time moves when one family after the other is left out.

        Returns:
            A row per family that stands on the envelope: ``A``, ``doubling_days``, ``envelope_points`` without it,
            slowest growth first. NaN where the rest has no envelope with a slope.

        Raises:
            ValueError: if :meth:`fit` was given no ``family``.
        """
        check_is_fitted(self, "A_")
        if self._family is None:
            raise ValueError("influence() needs families: name their column in fit(..., family=)")
        rows = []
        for name in self.envelope_[self._family].unique():
            rest = self._models[self._models[self._family] != name]
            places = records(rest["days"], rest["density"])
            rate = np.nan
            if len(places) > 1:
                rate = line(rest["days"].iloc[places], np.log(rest["density"].iloc[places]))[0]
            days = doubling_time(rate) if np.isfinite(rate) and rate else np.nan
            rows.append({"without": name, "A": rate, "doubling_days": days, "envelope_points": len(places)})
        return pd.DataFrame(rows).sort_values("A").reset_index(drop=True)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        label: str | None = None,
        interval: float | None = 0.95,
        published: float | None = None,
    ) -> Axes:
        """Plot all models in grey, the envelope joined, the line and its band, over the date.

        Args:
            ax: Where to draw; the current Axes by default.
            label: Column of names to write beside the envelope's points; it must have been named in :meth:`fit`.
            interval: Level of the band, or None; none is drawn for fewer than 4 envelope points.
            published: Rate per day of a published line, drawn dashed through the middle of the fitted one.

        Returns:
            The Axes.

        Raises:
            KeyError: if the column of names is not there.
        """
        from broadsheet.methods.scaling.densing_law.plots import plot_trend

        check_is_fitted(self, "A_")
        return plot_trend(self, self._models, ax, label=label, interval=interval, published=published)
