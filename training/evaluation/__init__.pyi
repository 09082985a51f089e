from .addresses import evaluate_model as evaluate_model
from .cli import evaluate_command as evaluate_command
from .data import DataChoice as DataChoice
from .data import read_data as read_data
from .formats import DataFormat as DataFormat
from .job import EvalReport as EvalReport
from .protocols import Protocol as Protocol
