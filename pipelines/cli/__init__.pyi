from .app import main as main
from .console import progress_bar as progress_bar
