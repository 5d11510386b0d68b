# The public API, read by type checkers and, at run time, by lazy_loader: one line per name, and no other list.

__version__: str

# What a scene is, how to see it, and its files.
from .scene.cameras import Cameras as Cameras
from .scene.files.compact import write_splat as write_splat
from .scene.files.compact import write_spz as write_spz
from .scene.files.ply import read_ply as read_ply
from .scene.files.ply import write_ply as write_ply
from .scene.gaussians import Gaussians as Gaussians
from .scene.rasterize import render as render
from .toy.scene import ToyScene as ToyScene
from .toy.scene import toy_scene as toy_scene

# Which Gaussians are the object.
from .selection.automatic import select_automatic as select_automatic
from .selection.clicks import ClickSelector as ClickSelector
from .selection.colors import select_color as select_color
from .selection.lifting import lift_masks as lift_masks
from .selection.picking import pick as pick
from .selection.rectangle import select_rectangle as select_rectangle
from .selection.segmenters.load import load_segmenter as load_segmenter
from .selection.segmenters.segmenter import Segmenter as Segmenter
from .selection.selection import Selection as Selection
from .selection.shapes import select_box as select_box
from .selection.shapes import select_sphere as select_sphere
from .selection.text import select_by_text as select_by_text

# Style by a sentence.
from .guidance.encoder import Coverage as Coverage
from .guidance.encoder import TextImageEncoder as TextImageEncoder
from .guidance.load import load_encoder as load_encoder
from .guidance.text_loss import Compared as Compared
from .guidance.text_loss import TextLoss as TextLoss
from .guidance.objective import TextStyleConfig as TextStyleConfig
from .styling.editable import EditableObject as EditableObject
from .styling.growth import GrowthConfig as GrowthConfig
from .styling.growth import ObjectGrowth as ObjectGrowth
from .styling.steps import ObjectSteps as ObjectSteps
from .styling.styler import ObjectStyler as ObjectStyler
from .styling.styler import StylerConfig as StylerConfig

# Edits by an instruction, in rounds.
from .editors.editor import EditRequest as EditRequest
from .editors.editor import EditResult as EditResult
from .editors.editor import ImageEditor as ImageEditor
from .editors.load import load_editor as load_editor
from .rounds.config import RoundsConfig as RoundsConfig
from .rounds.edit_rounds import EditRounds as EditRounds
from .rounds.folder import KeepConfig as KeepConfig
from .rounds.folder import RoundsFolder as RoundsFolder
from .rounds.gaussian_subject import Capture as Capture
from .rounds.growth import RoundGrowth as RoundGrowth
from .rounds.losses import LossConfig as LossConfig
from .rounds.modes import Task as Task
from .rounds.schedule import Schedule as Schedule
from .rounds.setup import new_rounds as new_rounds
from .rounds.targets import EditConfig as EditConfig
from .rounds.tools import Tools as Tools

# Panoramas: light from all directions.
from .envmaps.files import read_panorama as read_panorama
from .envmaps.files import write_panorama as write_panorama

# Pictures of it.
from .evaluation.report import contact_sheet as contact_sheet
from .evaluation.report import write_png as write_png
