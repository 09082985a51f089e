from .calls import nightly as nightly
from .calls import open_result as open_result
from .calls import plan as plan
from .calls import run as run
from .map_view import MapView as MapView
from .plan_summary import PlanSummary as PlanSummary
from .result import Result as Result
