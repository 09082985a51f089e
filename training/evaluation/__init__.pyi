from .cli import evaluate_command as evaluate_command
from .data import DataChoice as DataChoice
from .data import DataFormat as DataFormat
from .data import read_data as read_data
from .protocols import Protocol as Protocol
