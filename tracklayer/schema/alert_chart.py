"""The chart of an alert as callers see it."""

from __future__ import annotations

import strawberry

from tracklayer.domain.alert_chart import MOST_POINTS, Chart
from tracklayer.schema.access import READ, at_most
from tracklayer.schema.enums import AlertChartUnit, AlertSeriesRole
from tracklayer.schema.scalars import DateTime, as_int

MOST_SERIES = 3
WEIGHT = 500  # objects: one or two statements over the counters of up to a month


@strawberry.type(description="One line of a chart.")
class AlertSeries:
    role: AlertSeriesRole = strawberry.field(metadata=READ, description="What it is among the lines.")
    label: str = strawberry.field(metadata=READ, description="What it shows, in a few words.")
    values: list[float | None] = strawberry.field(
        metadata=READ, description="One for each of the chart's times; null where nothing is known."
    )


@strawberry.type(
    description="What was seen against what is normal, from before an alert opened until after it resolved, or now; of one "
    "that was open for long, its first month. Drawn from the counters: they are kept by the minute for 35 days (what events "
    "carry: two), then by the hour."
)
class AlertChart:
    title: str = strawberry.field(metadata=READ, description="What is drawn.")
    unit: AlertChartUnit = strawberry.field(metadata=READ, description="What the values are.")
    since: DateTime = strawberry.field(metadata=READ, description="Since when it most likely holds.")
    step_seconds: int = strawberry.field(metadata=READ, description="How long each step is.")
    times: list[DateTime] = strawberry.field(
        metadata=READ, description=f"When each step begins, oldest first; {MOST_POINTS} at most."
    )
    counts: list[int] | None = strawberry.field(
        metadata=READ, description="Of how many each share is; null where the unit is no share."
    )
    series: list[AlertSeries] = strawberry.field(
        metadata=READ | at_most(MOST_SERIES),
        description="The lines. One with the role NORMAL is there only where what is normal was learned.",
    )


def chart_node(chart: Chart) -> AlertChart:
    return AlertChart(
        title=chart.title,
        unit=AlertChartUnit(chart.unit.value),
        since=DateTime(chart.since),
        step_seconds=int(chart.step.total_seconds()),
        times=[DateTime(at) for at in chart.times],
        counts=[as_int(count) for count in chart.counts] if chart.counts is not None else None,
        series=[
            AlertSeries(role=AlertSeriesRole(one.role.value), label=one.label, values=list(one.values))
            for one in chart.series
        ],
    )
