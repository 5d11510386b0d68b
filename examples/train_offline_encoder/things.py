"""What is known of the world without pictures of it: names of materials, colours of things, and what cannot be seen.

Written by hand for this encoder. Colours are bins of `palette.NAMED` with shares; they are what a child would paint.
"""

from __future__ import annotations

MATERIALS: dict[str, tuple[str, ...]] = {
    # Classes of photographs -> what they are called.
    "Asphalt": ("asphalt", "tarmac"),
    "Bamboo": ("bamboo", "bamboo mat"),
    "Bark": ("tree bark", "bark"),
    "Bricks": ("bricks", "brick", "brick wall", "brickwork"),
    "Cardboard": ("cardboard", "corrugated cardboard"),
    "Carpet": ("carpet", "rug", "plush carpet"),
    "Chainmail": ("chainmail", "metal rings"),
    "Chipboard": ("chipboard", "particle board"),
    "Clay": ("clay", "dried clay"),
    "Concrete": ("concrete", "cement"),
    "Cork": ("cork", "cork board"),
    "CorrugatedSteel": ("corrugated steel", "corrugated iron sheet"),
    "DiamondPlate": ("diamond plate", "steel tread plate"),
    "Fabric": ("fabric", "woven cloth", "textile"),
    "Foil": ("foil", "aluminium foil", "tin foil"),
    "GlazedTerracotta": ("glazed terracotta", "glazed tiles with ornaments"),
    "Granite": ("granite", "polished granite"),
    "Grass": ("grass", "lawn", "grassy"),
    "Gravel": ("gravel", "small stones"),
    "Ground": ("soil", "dirt ground", "mud", "earth"),
    "Logs": ("logs", "stacked firewood"),
    "Marble": ("marble", "polished marble"),
    "Metal": ("metal", "brushed metal", "steel", "iron"),
    "Moss": ("moss", "mossy"),
    "Net": ("net", "mesh netting"),
    "OfficeCeiling": ("ceiling panels", "perforated ceiling tiles"),
    "Onyx": ("onyx", "banded onyx stone"),
    "Paint": ("peeling paint", "paint"),
    "Paper": ("paper", "crumpled paper"),
    "PavingStones": ("paving stones", "cobblestones", "pavement"),
    "PineNeedles": ("pine needles", "fir needles"),
    "Planks": ("wooden planks", "planks", "boards"),
    "Plaster": ("plaster", "stucco"),
    "Plastic": ("plastic", "moulded plastic"),
    "Porcelain": ("porcelain", "white ceramic"),
    "Road": ("road markings", "street with lines"),
    "Rock": ("rock face", "rock", "rough rock", "cliff rock"),
    "Rocks": ("pile of rocks", "boulders", "rubble"),
    "RoofingTiles": ("roof tiles", "shingles"),
    "Rubber": ("rubber", "rubber mat"),
    "Rust": ("rust", "rusty metal", "rusty", "rusted iron"),
    "ScatteredLeaves": ("fallen leaves", "autumn leaves"),
    "Snow": ("snow", "snowy", "fresh snow"),
    "SolarPanel": ("solar panel", "photovoltaic cells"),
    "Tatami": ("tatami mat", "woven straw mat"),
    "Terrazzo": ("terrazzo", "terrazzo floor"),
    "ThatchedRoof": ("thatch", "straw roof", "straw"),
    "Tiles": ("ceramic tiles", "bathroom tiles", "tiled wall"),
    "TireTracks": ("tyre tracks", "tire tracks in mud"),
    "Travertine": ("travertine", "travertine stone"),
    "Wallpaper": ("wallpaper", "patterned wallpaper"),
    "Wood": ("wood", "wooden", "wood grain", "carved wood"),
    "WoodChips": ("wood chips", "mulch"),
    "WoodFloor": ("parquet", "wooden floor"),
    "WoodSiding": ("wood siding", "weatherboards"),
}

SAME_AS_CLASS = {"zebra": "zebra", "leopard": "leopard"}
"""Painted patterns whose things are a class of ImageNet: its row stays theirs."""

COLOURS_OF_THINGS = """
zebra: black 5, white 5
zebra stripes: black 5, white 5
leopard: amber 4, tan 3, black 2, dark brown 1
leopard print: amber 3, tan 4, black 2, dark brown 1
leopard spots: amber 3, tan 4, black 2, dark brown 1
jaguar: amber 4, tan 3, black 3
cheetah: tan 4, amber 4, black 2
snow leopard: light grey 5, white 2, dark grey 3
tiger: orange 6, black 3, white 1
tiger stripes: orange 6, black 4
lion: tan 5, amber 3, brown 2
panda: white 5, black 5
giant panda: white 5, black 5
dalmatian: white 7, black 3
cow hide: white 5, black 5
giraffe: beige 3, tan 3, brown 4
snake skin: olive 4, tan 3, black 3
green snake: green 6, dark green 3, light green 1
crocodile: olive 5, dark green 4, black 1
lizard: green 5, olive 4, brown 1
frog: green 6, dark green 3, olive 1
goldfish: orange 8, amber 2
clownfish: orange 6, white 3, black 1
ladybug: red 7, black 3
bee: amber 5, yellow 2, black 3
monarch butterfly: orange 6, black 3, white 1
butterfly: orange 3, sky blue 3, black 3, yellow 1
peacock: teal 4, blue 3, green 2, amber 1
peacock feathers: teal 4, blue 3, green 2, amber 1
flamingo: pink 6, salmon 4
parrot: red 4, green 3, sky blue 2, yellow 1
macaw: red 4, blue 3, yellow 3
cockatoo: white 9, pale yellow 1
owl: brown 5, tan 3, cream 2
penguin: black 5, white 4, amber 1
crow: black 10
swan: white 10
duck: brown 4, dark green 3, tan 3
chicken: white 5, rust 3, red 2
fox: orange 6, white 2, dark brown 2
red fox: orange 6, rust 2, white 2
wolf: grey 5, light grey 3, dark grey 2
polar bear: white 7, cream 3
brown bear: brown 7, dark brown 3
teddy bear: tan 5, brown 5
elephant: grey 7, dark grey 3
hippopotamus: grey 6, salmon 2, dark grey 2
rhinoceros: grey 7, tan 3
monkey: brown 6, tan 4
gorilla: black 7, dark grey 3
pig: pale pink 7, salmon 3
sheep: cream 7, light grey 3
rabbit: light grey 4, tan 3, white 3
hamster: tan 5, white 3, amber 2
shark: grey 6, light grey 4
whale: navy 5, grey 5
starfish: orange 5, salmon 3, rust 2
jellyfish: lavender 4, pale blue 4, white 2
coral reef: salmon 4, pink 3, orange 3
lobster: red 7, rust 3
crab: rust 6, orange 4
spider: black 6, dark brown 4
spider web: white 3, grey 5, black 2
fur: brown 5, tan 5
feathers: white 5, grey 3, tan 2
fish scales: light grey 4, grey 3, teal 3
dragon scales: dark green 5, green 3, black 2
scales: grey 5, teal 3, light grey 2
strawberry: red 8, green 1, pale yellow 1
strawberries: red 8, green 1, pale yellow 1
raspberries: red 5, magenta 3, dark red 2
cherries: red 6, dark red 4
blueberries: navy 7, blue 2, lavender 1
blackberries: black 6, purple 4
grapes: purple 6, light green 2, navy 2
apple: red 7, light green 2, dark red 1
granny smith: light green 8, green 2
banana: yellow 9, amber 1
lemon: yellow 8, pale yellow 2
lime: light green 6, green 4
orange fruit: orange 10
oranges: orange 10
pineapple: amber 5, yellow 3, dark green 2
fig: purple 6, dark green 3, salmon 1
pomegranate: red 6, dark red 4
watermelon: red 5, green 4, black 1
melon: light green 6, beige 4
peach: salmon 6, amber 4
kiwi: light green 6, brown 3, black 1
tomato: red 9, green 1
pumpkin: orange 9, olive 1
carrot: orange 9, green 1
broccoli: green 6, dark green 4
cauliflower: white 7, cream 3
cabbage: light green 7, pale yellow 3
artichoke: olive 5, green 5
cucumber: green 6, light green 4
zucchini: dark green 6, green 4
bell pepper: red 4, green 3, yellow 3
mushroom: beige 5, tan 3, white 2
corn: yellow 9, light green 1
bread: tan 6, amber 2, brown 2
french loaf: tan 6, amber 3, brown 1
bagel: tan 6, amber 4
pretzel: brown 7, tan 3
pizza: red 4, amber 4, cream 2
hotdog: red 4, tan 6
cheeseburger: tan 5, brown 3, amber 2
spaghetti: pale yellow 6, red 4
guacamole: light green 7, olive 3
ice cream: cream 4, pale pink 3, brown 3
chocolate: dark brown 8, brown 2
chocolate sauce: dark brown 9, brown 1
candy: pink 3, red 2, yellow 2, turquoise 2, white 1
donut: pink 5, tan 5
pancake: tan 6, amber 4
honey: amber 8, orange 2
honeycomb: amber 7, yellow 2, brown 1
cheese: yellow 6, amber 4
coffee: dark brown 8, brown 2
cappuccino: brown 4, cream 4, tan 2
red wine: dark red 10
milk: white 10
rose: red 6, green 2, pink 2
daisy: white 6, yellow 2, green 2
sunflower: yellow 6, dark brown 2, green 2
tulips: red 4, yellow 3, pink 3
flowers: pink 4, red 2, yellow 2, green 2
cherry blossom: pale pink 7, pink 3
cactus: green 8, olive 2
leaves: green 7, light green 3
ivy: dark green 6, green 4
fern: green 7, dark green 3
autumn leaves: orange 5, rust 3, amber 2
tree bark: brown 5, dark brown 3, grey 2
forest: dark green 6, green 4
grass: green 7, light green 2, dark green 1
moss: green 4, olive 4, dark green 2
acorn: brown 7, tan 3
pine cone: brown 7, dark brown 3
hay: amber 5, beige 5
straw: amber 4, beige 6
bamboo: beige 5, light green 5
gold: amber 8, brown 1, pale yellow 1
golden: amber 8, brown 1, pale yellow 1
gold leaf: amber 7, yellow 3
silver: light grey 5, grey 3, white 2
chrome: light grey 4, white 3, dark grey 3
steel: grey 5, light grey 4, dark grey 1
iron: dark grey 7, grey 3
metal: grey 6, light grey 3, dark grey 1
bronze: brown 5, amber 3, dark brown 2
brass: amber 7, brown 2, pale yellow 1
copper: rust 6, salmon 3, brown 1
rust: rust 7, dark brown 2, orange 1
rusty: rust 7, dark brown 2, orange 1
rusty metal: rust 7, dark brown 2, orange 1
aluminium foil: light grey 6, white 3, grey 1
brick: rust 7, dark red 1, light grey 2
bricks: rust 7, dark red 1, light grey 2
brick wall: rust 7, dark red 1, light grey 2
stone: grey 7, light grey 2, dark grey 1
stone wall: grey 6, light grey 2, tan 2
granite: grey 5, light grey 3, dark grey 2
marble: white 7, light grey 2, grey 1
concrete: grey 6, light grey 4
cobblestones: grey 6, dark grey 4
sandstone: beige 5, tan 5
sand: beige 6, tan 4
desert: beige 5, tan 4, amber 1
mud: brown 6, dark brown 4
clay: rust 6, tan 4
terracotta: rust 8, salmon 2
wood: brown 5, tan 4, dark brown 1
wooden: brown 5, tan 4, dark brown 1
oak: tan 7, brown 3
mahogany: dark red 4, brown 6
pine wood: beige 5, tan 5
planks: brown 5, tan 4, dark brown 1
cork: tan 8, brown 2
cardboard: tan 9, brown 1
paper: white 7, cream 3
newspaper: light grey 7, dark grey 3
porcelain: white 8, pale blue 2
glass: pale blue 6, white 4
crystal: pale blue 5, white 4, lavender 1
ice: pale blue 6, white 3, sky blue 1
frozen: pale blue 6, white 3, sky blue 1
snow: white 9, pale blue 1
frost: white 6, pale blue 4
water: sky blue 4, blue 4, teal 2
ocean waves: sky blue 4, teal 4, white 2
bubbles: pale blue 6, white 3, lavender 1
lava: black 4, red 3, orange 3
magma: black 4, red 3, orange 3
volcano: dark grey 5, red 3, orange 2
fire: orange 5, red 3, yellow 2
flames: orange 5, red 3, yellow 2
smoke: grey 6, light grey 4
lightning: navy 5, white 3, lavender 2
clouds: white 6, pale blue 3, light grey 1
sky: sky blue 8, white 2
night sky: navy 6, black 3, white 1
galaxy: navy 4, purple 3, black 2, magenta 1
nebula: purple 4, navy 3, magenta 3
rainbow: red 2, orange 2, yellow 2, green 2, blue 1, purple 1
sunset: orange 5, salmon 3, purple 2
leather: brown 7, dark brown 3
denim: navy 5, blue 2, sky blue 2, grey 1
jeans: navy 5, blue 2, sky blue 2, grey 1
wool: cream 6, light grey 3, beige 1
knitted wool: cream 5, light grey 3, beige 2
knitted sweater: cream 4, grey 3, navy 3
velvet: dark red 6, purple 4
silk: cream 5, pale pink 3, white 2
lace: white 9, cream 1
satin: pale pink 5, white 5
tartan: red 5, dark green 3, navy 2
plaid: red 5, black 3, white 2
camouflage: olive 4, dark green 3, tan 2, black 1
patchwork quilt: red 2, sky blue 2, cream 3, green 2, pink 1
carpet: red 4, beige 4, navy 2
burlap: tan 7, beige 3
rope: beige 6, tan 4
straw hat: beige 7, tan 3
jade: green 5, teal 3, light green 2
emerald: green 6, dark green 4
ruby: red 6, dark red 4
sapphire: blue 7, navy 3
amethyst: purple 7, lavender 3
turquoise stone: turquoise 8, brown 2
diamond: white 6, pale blue 4
pearl: cream 6, white 4
amber resin: amber 7, orange 3
coal: black 9, dark grey 1
bone: cream 7, beige 3
skeleton: cream 6, white 3, dark grey 1
checkerboard: black 5, white 5
checkered: black 5, white 5
chessboard: black 5, white 5
polka dots: red 6, white 4
dots: red 6, white 4
stripes: black 5, white 5
barber pole: red 5, white 4, blue 1
candy cane: red 5, white 5
mosaic: sky blue 3, cream 3, rust 2, teal 2
tiles: white 6, pale blue 4
stained glass: red 3, blue 3, yellow 2, green 2
jigsaw puzzle: sky blue 3, red 2, green 2, cream 3
crossword puzzle: white 6, black 4
lego bricks: red 4, yellow 3, blue 3
crayons: red 3, yellow 2, blue 3, green 2
graffiti: pink 2, turquoise 2, yellow 2, black 2, purple 2
circuit board: dark green 7, amber 2, black 1
robot: grey 5, light grey 3, dark grey 2
fire engine: red 8, white 1, dark grey 1
school bus: amber 8, black 2
taxi: yellow 8, black 2
traffic light: black 6, red 2, amber 1, green 1
street sign: green 6, white 4
mailbox: blue 6, red 4
soccer ball: white 7, black 3
basketball: orange 8, black 2
tennis ball: light green 7, yellow 3
golf ball: white 10
rubber duck: yellow 9, orange 1
chain mail: grey 6, dark grey 4
chainlink fence: grey 6, light grey 4
armour: grey 6, light grey 3, dark grey 1
tire: black 8, dark grey 2
toilet tissue: white 10
christmas tree: dark green 7, red 2, amber 1
christmas stocking: red 8, white 2
jack-o'-lantern: orange 8, black 2
balloon: red 4, yellow 3, blue 3
confetti: pink 3, yellow 3, turquoise 2, red 2
money: light green 6, dark green 4
coins: amber 5, rust 3, light grey 2
blood: dark red 6, red 4
slime: light green 8, green 2
zombie: olive 5, light green 3, dark red 2
asphalt: dark grey 7, grey 3
""".strip()

UNSEEN = tuple(
    """
    justice freedom music philosophy tuesday economics democracy tomorrow mathematics grammar jealousy honesty opinion
    theory algorithm silence melody harmony rhythm sonata loud whisper laughter hunger thirst boredom patience courage
    wisdom knowledge education politics government taxation insurance inflation currency economy policy legislation
    contract agreement negotiation argument debate conversation gossip rumour promise apology forgiveness regret guilt
    shame pride envy greed ambition hope faith belief religion prayer destiny fate luck chance probability statistics
    calculus geometry logic reason intuition instinct memory nostalgia dream idea thought concept meaning truth lie
    fact fiction story history century decade year month week hour minute second yesterday today later soon never always
    often because although however therefore maybe perhaps yes no please thanks hello goodbye question answer problem
    solution method process procedure strategy plan goal purpose intention decision choice option alternative preference
    quality quantity measure amount average total sum difference ratio percentage degree level rank status reputation
    influence authority responsibility duty obligation right law crime punishment revenge mercy peace war conflict
    victory defeat success failure effort work career salary profession management leadership teamwork productivity
    efficiency performance marketing advertisement strategy finance budget investment loan debt interest mortgage
    language vocabulary accent translation pronunciation poetry rhyme metaphor irony sarcasm humour comedy tragedy
    software database protocol bandwidth password encryption download internet website email username
    gravity energy momentum velocity temperature pressure frequency voltage relativity evolution genetics chemistry
    smell taste sound noise echo volume pitch fragrance odour flavour sweet sour bitter salty spicy
    love hate anger fear sadness happiness joy anxiety stress relief surprise disgust trust loyalty friendship marriage
    divorce childhood adulthood retirement birthday anniversary ceremony tradition culture society community identity
    running thinking speaking waiting trying knowing being having becoming understanding forgetting believing deciding
    quickly slowly carefully suddenly usually exactly really merely hardly impossible necessary sufficient relevant
    important useful useless expensive cheap free legal illegal moral ethical political financial social academic
    abstract general specific typical usual possible future past present absent eternal infinite zero nothing everything
    somebody nobody anything which whose whom where when why how whether unless until during despite
    """.split()  # noqa: SIM905
)
"""Words for what no picture shows."""


def palettes() -> dict[str, list[tuple[str, float]]]:
    """Shares of colours by thing; they sum to 1."""
    table = {}
    for line in COLOURS_OF_THINGS.splitlines():
        thing, _, colours = line.partition(": ")
        parts = [colour.rpartition(" ") for colour in colours.split(", ")]
        total = sum(float(share) for _, _, share in parts)
        table[thing] = [(name, float(share) / total) for name, _, share in parts]
    return table
