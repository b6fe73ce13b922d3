"""The report as JSON: every row, and the means that the tables show."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from evaluation.cost import Cost
from evaluation.metrics.statistics import summarise
from evaluation.results import SystemResult
from evaluation.sets.scene import PROFILE_KINDS
from evaluation.summary import SET_METRICS, conditioning_gaps, over, select, sets_of

SCHEMA_VERSION = 1


def json_report(results: list[SystemResult], costs: list[Cost], settings: dict[str, Any]) -> str:
    """One JSON object. All but "cost" is the same whenever the same command is run again."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "settings": settings,
        "systems": [_system(result) for result in results],
        "summary": _summary(results),
        "rows": [row.to_dict() for result in results for row in result.rows],
        "cost": [cost.to_dict() for cost in costs],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _system(result: SystemResult) -> dict[str, Any]:
    gap = summarise(conditioning_gaps(result))
    return {
        "name": result.name,
        "kind": result.spec.kind,
        "info": asdict(result.info),
        "delays_samples": result.delays_samples,
        "conditioning_gap": asdict(gap) if gap else None,
        "reason": result.reason,
    }


def _summary(results: list[SystemResult]) -> list[dict[str, Any]]:
    found = []
    for result in results:
        for set_name in sets_of([result]):
            for profile in PROFILE_KINDS:
                rows = select(result.rows, set_name, profile)
                for metric in SET_METRICS[set_name]:
                    summary = over(rows, metric)
                    if summary is not None:
                        key = {"system": result.name, "set": set_name, "profile": profile, "metric": metric}
                        found.append({**key, **asdict(summary)})
    return found
