"""The same work by the usual Python stack: files of a series -> sorted float32 volume of scaled Hounsfield units.

Usage: python3 pixels-peers.py <variant> <folder>; prints one line of JSON. Variants: pydicom (its gdcm handler, one process), gdcm
(gdcm's own reader, one process), pool (pydicom in one process per core, slices written into shared memory).
"""
import json
import multiprocessing
import os
import resource
import sys
import time
import warnings

import gdcm
import numpy as np
import pydicom

warnings.filterwarnings("ignore")
LOW, HIGH = -1000.0, 400.0


def read_pydicom(path):
    dataset = pydicom.dcmread(path)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.convert_pixel_data("gdcm")
    position = [float(v) for v in dataset.ImagePositionPatient]
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    return position, [float(v) for v in dataset.ImageOrientationPatient], dataset.pixel_array, slope, intercept


def read_gdcm(path):
    gdcm.Trace.WarningOff()
    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    if not reader.Read():
        raise SystemExit("gdcm cannot read " + path)
    image = reader.GetImage()
    # Python gets the bytes as a str whose surrogates stand for the bytes that are no UTF-8.
    values = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    shape = (image.GetDimension(1), image.GetDimension(0))
    array = np.frombuffer(values, dtype=np.uint16).reshape(shape)
    position = [image.GetOrigin(i) for i in range(3)]
    return position, [image.GetDirectionCosines(i) for i in range(6)], array, image.GetSlope(), image.GetIntercept()


def place(position, orientation):
    return float(np.dot(np.cross(orientation[:3], orientation[3:]), position))


def prepared(array, slope, intercept):
    hu = array.astype(np.float32)
    hu *= slope
    hu += intercept
    np.clip(hu, LOW, HIGH, out=hu)
    hu -= (LOW + HIGH) / 2
    hu /= (HIGH - LOW) / 2
    return hu


def in_one_process(read, paths):
    slices = []
    for path in paths:
        position, orientation, array, slope, intercept = read(path)
        slices.append((place(position, orientation), array, slope, intercept))
    slices.sort(key=lambda one: one[0])
    volume = np.empty((len(slices),) + slices[0][1].shape, dtype=np.float32)
    for index, (_, array, slope, intercept) in enumerate(slices):
        volume[index] = prepared(array, slope, intercept)
        slices[index] = None
    return volume


def header_place(path):
    dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ImagePositionPatient", "ImageOrientationPatient"])
    return place([float(v) for v in dataset.ImagePositionPatient], [float(v) for v in dataset.ImageOrientationPatient])


def into_shared(task):
    index, path, memory, shape = task
    from multiprocessing import shared_memory

    shared = shared_memory.SharedMemory(name=memory)
    volume = np.ndarray(shape, dtype=np.float32, buffer=shared.buf)
    _, _, array, slope, intercept = read_pydicom(path)
    volume[index] = prepared(array, slope, intercept)
    del volume
    shared.close()


def in_pool(paths):
    from multiprocessing import shared_memory

    shape = (len(paths), 512, 512)
    shared = shared_memory.SharedMemory(create=True, size=int(np.prod(shape)) * 4)
    with multiprocessing.Pool() as pool:
        places = pool.map(header_place, paths, chunksize=12)
        order = sorted(range(len(paths)), key=lambda index: places[index])
        tasks = [(to, paths[index], shared.name, shape) for to, index in enumerate(order)]
        pool.map(into_shared, tasks, chunksize=12)
    return shared, np.ndarray(shape, dtype=np.float32, buffer=shared.buf)


def main():
    variant, folder = sys.argv[1], sys.argv[2]
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    start = time.perf_counter()
    shared = None
    if variant == "pool":
        shared, volume = in_pool(paths)
    else:
        volume = in_one_process(read_gdcm if variant == "gdcm" else read_pydicom, paths)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"ms": seconds * 1000, "peakKb": peak, "sum": float(volume[::7, ::5, ::3].sum(dtype=np.float64))}))
    if shared is not None:
        del volume
        shared.close()
        shared.unlink()


main()
