"""Writes the image files beside it, and golden.safetensors: what Pillow makes of them.

    pip install pillow numpy safetensors
    python3 make_files.py

folder/ has two classes. golden.safetensors holds for each of its files
  decoded/CLASS/FILE  uint8 [H, W, C], C as the file has it, transparent parts over white
  gray/CLASS/FILE     uint8 [H, W], the colour files by convert("L")
  S/CLASS/FILE        uint8 [3, S, S] for S in SIZES, cropped and resized as DiT's train.py does
"""

import pathlib

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
SIZES = (16, 24, 32, 80)


def picture(width, height, seed):
    """Smooth colours with some noise and hard edges: uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / a + seed) + np.cos(y / b - seed) for a, b in ((7, 11), (13, 5), (9, 17))]
    values = 127 + 60 * np.stack(waves, -1) + random.normal(0, 6, (height, width, 3))
    values[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 90)
    return values.clip(0, 255).astype(np.uint8)


def write_images():
    first, second = HERE / "folder/boots", HERE / "folder/coats"
    first.mkdir(parents=True, exist_ok=True)
    second.mkdir(exist_ok=True)
    rgb = Image.fromarray(picture(97, 61, 1))
    rgb.save(first / "420.jpg", quality=90, subsampling="4:2:0")
    rgb.convert("L").save(first / "gray.JPG", quality=90, progressive=True)
    Image.fromarray(picture(150, 131, 2)).save(
        first / "progressive.jpeg", quality=85, subsampling="4:4:4", progressive=True
    )
    square = Image.fromarray(picture(33, 57, 3))
    square.save(second / "rgb.png")
    square.convert("L").save(second / "gray.png")
    square.quantize(16).save(second / "palette.png")
    square.convert("1").save(second / "one_bit.png")
    square.putalpha(Image.fromarray(picture(33, 57, 4)[..., 0]))
    square.save(second / "rgba.png")
    square.convert("LA").save(second / "gray_alpha.png")
    wide = picture(40, 30, 5).astype(np.uint16)
    Image.fromarray(wide[..., 0] * 256 + wide[..., 1]).save(second / "gray16.png")
    Image.fromarray(picture(20, 20, 6)).convert("CMYK").save(HERE / "cmyk.jpg")


def over_white(image):
    plain = Image.new("RGB", image.size, (255, 255, 255))
    plain.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return plain


def decode(path):
    image = Image.open(path)
    if image.mode.startswith("I"):
        return Image.fromarray(np.round(np.array(image) / 257).astype(np.uint8))
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("RGBA", "LA"):
        plain = over_white(image.convert("RGBA"))
        return plain.convert("L") if image.mode == "LA" else plain
    return image


def centre_crop(image, size):
    """The way of ADM, which DiT's train.py takes over: halve, scale the short side, cut."""
    while min(image.size) >= 2 * size:
        image = image.resize([side // 2 for side in image.size], Image.BOX)
    scale = size / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.BICUBIC)
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def planes(image):
    array = np.array(image)
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def golden():
    tensors = {}
    for path in sorted((HERE / "folder").glob("*/*.*")):
        name = f"{path.parent.name}/{path.name}"
        image = decode(path)
        array = np.array(image)
        tensors["decoded/" + name] = np.atleast_3d(array)
        if array.ndim == 3:
            tensors["gray/" + name] = np.array(image.convert("L"))
        for size in SIZES:
            tensors[f"{size}/{name}"] = planes(centre_crop(image.convert("RGB"), size))
    return tensors


if __name__ == "__main__":
    write_images()
    save_file(golden(), HERE / "golden.safetensors")
