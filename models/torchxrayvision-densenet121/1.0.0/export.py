"""Exports torchxrayvision's DenseNet-121 (weights densenet121-res224-all) to ONNX, for the manifest beside this file.

    pip install torch torchxrayvision onnx onnxruntime
    python3 export.py [--golden image.dcm]

Writes model.onnx and puts its SHA-256 into manifest.yaml. The graph gives logits: the library's forward() ends in sigmoid and op_norm, and
op_norm is a Python loop over values, whose branches a tracing export would freeze as they were for one image. Refuses to write when the library's
operating points are not those of the manifest, or when ONNX Runtime does not give PyTorch's numbers.

--golden: also writes golden/1/<image> and prints the lines for the manifest. The expected scores are PyTorch's on the tensor made here with
Pillow's resize, so that they test the whole way from the file on.
"""
import argparse
import hashlib
import pathlib
import re
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
import torchxrayvision as xrv

HERE = pathlib.Path(__file__).parent
OPSET = 17
LARGEST_DIFFERENCE = 1e-4


class Logits(torch.nn.Module):
    """Features, ReLU, mean over the image, linear layer: forward() without what comes after."""

    def __init__(self, model):
        super().__init__()
        self.features, self.classifier = model.features, model.classifier

    def forward(self, image):
        features = F.relu(self.features(image))
        return self.classifier(F.adaptive_avg_pool2d(features, (1, 1)).flatten(1))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--golden", type=pathlib.Path)
    options = arguments.parse_args()
    whole = xrv.models.DenseNet(weights="densenet121-res224-all").eval()
    manifest = (HERE / "manifest.yaml").read_text()
    check_operating_points(whole, manifest)
    model = Logits(whole).eval()
    path = HERE / "model.onnx"
    torch.onnx.export(
        model, torch.zeros(1, 1, 224, 224), str(path), opset_version=OPSET, dynamo=False,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(str(path))
    check_numbers(model, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (HERE / "manifest.yaml").write_text(re.sub(r'sha256: "[0-9a-f]{64}"', f'sha256: "{digest}"', manifest))
    print(f"{path}: {path.stat().st_size} bytes, SHA-256 {digest}")
    if options.golden:
        write_golden(model, whole, options.golden)


def check_operating_points(whole, manifest):
    written = re.search(r"op_norm: \[([^]]*)\]", manifest).group(1)
    labels = re.search(r"labels: \[([^]]*)\]", manifest).group(1).split(", ")
    here = np.array([float(value) for value in written.split(",")])
    there = np.array([float(value) for value in whole.op_threshs])
    if labels != list(whole.pathologies) or not np.allclose(here, there, atol=1e-6):
        sys.exit("The library's labels or operating points are not those of the manifest: this is another version of the weights.")


def check_numbers(model, path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    for batch in (1, 2):
        image = (torch.rand(batch, 1, 224, 224, generator=generator) * 2 - 1) * 1024
        with torch.no_grad():
            expected = model(image).numpy()
        (given,) = session.run(["logits"], {"image": image.numpy()})
        difference = np.abs(given - expected).max()
        if difference > LARGEST_DIFFERENCE:
            path.unlink()
            sys.exit(f"ONNX Runtime differs from PyTorch by {difference}: nothing was written.")


def write_golden(model, whole, source):
    import pydicom
    from PIL import Image

    dataset = pydicom.dcmread(source)
    top = 2 ** dataset.BitsStored - 1
    pixels = dataset.pixel_array.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = top - pixels
    pixels = (2 * pixels / top - 1) * 1024
    side = min(pixels.shape)
    row, column = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = Image.fromarray(pixels[row : row + side, column : column + side], mode="F")
    small = np.asarray(square.resize((224, 224), Image.BILINEAR))
    with torch.no_grad():
        scores = torch.sigmoid(model(torch.from_numpy(small)[None, None])).numpy()[0]
    points = np.array(whole.op_threshs, dtype=float)
    moved = np.where(scores < points, scores / (2 * points), 1 - (1 - scores) / (2 * (1 - points)))
    folder = HERE / "golden" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder)
    value = dict(zip(whole.pathologies, moved))
    print("golden:\n  - name: first image\n    files: golden/1\n    expect:")
    for label, key in (("Pneumothorax", "pneumothorax"), ("Effusion", "pleural-effusion"), ("Cardiomegaly", "cardiomegaly")):
        print(f"      {key}: {{ value: {value[label]:.4f}, tolerance: 0.01 }}")


main()
