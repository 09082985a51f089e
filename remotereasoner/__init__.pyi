from pipelines import IncompleteError, LockedError, LockLostError, RequestError, StoppedError
from pipelines.jobs import run_job, run_nightly
from pipelines.map import write_map
from pipelines.notebook import MapView, PlanSummary, Result, nightly, plan, run
from pipelines.notebook import open_result as open
from pipelines.plan import Engine, JobConfig, Question, load_config, make_plan
from pipelines.results import ExportRequest, check_result, export_objects, open_dataset, read_status
from reasoner.errors import ModelError
from tiling import SceneError, StorageError
from tiling.storage import Store
from training.evaluation import EvalReport
from training.evaluation import evaluate_model as evaluate
from training.scenery import write_practice

__all__ = [
    "Engine",
    "EvalReport",
    "ExportRequest",
    "IncompleteError",
    "JobConfig",
    "LockLostError",
    "LockedError",
    "MapView",
    "ModelError",
    "PlanSummary",
    "Question",
    "RequestError",
    "Result",
    "SceneError",
    "StoppedError",
    "StorageError",
    "Store",
    "check_result",
    "evaluate",
    "export_objects",
    "load_config",
    "make_plan",
    "nightly",
    "open",
    "open_dataset",
    "plan",
    "read_status",
    "run",
    "run_job",
    "run_nightly",
    "write_map",
    "write_practice",
]
