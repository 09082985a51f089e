from .page import map_page as map_page
from .page import write_map as write_map
from .server import serve as serve
