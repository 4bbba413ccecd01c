"""What an experiment will need: units, days and power, from what the logs know."""

from abplatform.analysis.planning.cautions import planning_json, warnings_of
from abplatform.analysis.planning.dates import Calendar
from abplatform.analysis.planning.forecast import Planning, Traffic, plan_experiment
from abplatform.analysis.planning.outlook import Forecast, PlanOutlook, look_at_plans
from abplatform.analysis.planning.page import planning_page
from abplatform.analysis.planning.past import PastRun, PastTraffic, read_past, read_units
from abplatform.analysis.planning.stated import Stated
from abplatform.analysis.planning.task import Task, task_of
from abplatform.analysis.planning.terminal import print_planning
from abplatform.analysis.planning.words import headline

__all__ = [
    "Calendar",
    "Forecast",
    "PastRun",
    "PastTraffic",
    "PlanOutlook",
    "Planning",
    "Stated",
    "Task",
    "Traffic",
    "headline",
    "look_at_plans",
    "plan_experiment",
    "planning_json",
    "planning_page",
    "print_planning",
    "read_past",
    "read_units",
    "task_of",
    "warnings_of",
]
