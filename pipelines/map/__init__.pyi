from .page import write_map as write_map
from .server import serve as serve
