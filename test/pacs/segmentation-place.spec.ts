import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enhancedFile } from '../../models/phantom/enhanced-file.ts';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { datasetToJson } from '../../src/dicom/dataset-to-json.ts';
import { jsonString } from '../../src/dicom/json-values.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { elementsAllowed, readPart10 } from '../../src/dicom/read-part10.ts';
import type { ResultContext } from '../../src/dicom/result-object.ts';
import type { DicomJson } from '../../src/dicom/study-source.ts';
import type { FindingRule, ModelInput, ModelOutput, PixelOp } from '../../src/governance/manifest.ts';
import { EvidenceKeeper } from '../../src/steps/inference/keep-evidence.ts';
import { KeyPictures } from '../../src/steps/inference/key-pictures.ts';
import { TensorReader } from '../../src/steps/inference/tensor-reader.ts';
import { makeObjects } from '../../src/steps/pacs/make-objects.ts';
import { planSegmentation } from '../../src/steps/pacs/plan-segmentation.ts';
import { trimMetadata } from '../../src/steps/pacs/trim-metadata.ts';
import { dciodvfy, dciodvfyMissing } from '../peers/dicom-validators.ts';
import { type Orthanc, orthancMissing, startOrthanc } from '../peers/orthanc.ts';
import { PYTHON, pydicomMissing } from '../peers/python.ts';
import { describeWithPeer } from '../peers/required.ts';

/**
 * A block with a brighter core at a known place, through the operations that move pixels and back into a Segmentation: what others read in it
 * must lie where the block is, within half a stored voxel, and name the images and frames that it lies on.
 */
const SLICES = 12;
const [ROWS, COLUMNS] = [72, 80];
const BLOCK = { slices: [4, 7], rows: [20, 43], columns: [36, 51] } as const;
const CORE = { slices: [5, 6], rows: [28, 35], columns: [40, 47] } as const;
const [MM_SLICE, MM_PIXEL] = [2.5, 0.8];

type Place = typeof BLOCK | typeof CORE;
/** Of one segment, as pydicom reads it. */
interface ReadSegment {
  readonly label: string;
  readonly type: string;
  /** Per frame: source instance, its frame or null, z of the plane or null, first and last row, first and last column, voxels. */
  readonly frames: readonly {
    readonly source: string;
    readonly frame: number | null;
    readonly z: number | null;
    readonly box: readonly [number, number, number, number];
    readonly voxels: number;
  }[];
}

let folder: string;
let orthanc: Orthanc;
const workers = new PixelWorkers({ size: 2 });
const reader = new TensorReader(workers);
const pictures = new KeyPictures(workers);
const keeper = new EvidenceKeeper(workers, { PACS_OBJECTS: ['sr', 'seg'] });

const missing = orthancMissing() ?? dciodvfyMissing() ?? pydicomMissing();

const inside = ({ slices, rows, columns }: Place, slice: number, row: number, column: number) =>
  slice >= slices[0] &&
  slice <= slices[1] &&
  row >= rows[0] &&
  row <= rows[1] &&
  column >= columns[0] &&
  column <= columns[1];

function storedSlice(slice: number): Uint16Array {
  return Uint16Array.from({ length: ROWS * COLUMNS }, (_, at) => {
    const [row, column] = [Math.floor(at / COLUMNS), at % COLUMNS];
    return inside(CORE, slice, row, column) ? 3000 : inside(BLOCK, slice, row, column) ? 2000 : 0;
  });
}

const [BASE] = [...phantomSeries({ slices: 1, rows: 32, columns: 32 }).slices()];
const ctSlice = (at: number, plane: object = {}) => ({
  attributes: {
    ...BASE!.attributes,
    ...{ Rows: ROWS, Columns: COLUMNS, RescaleIntercept: 0, PixelSpacing: [MM_PIXEL, MM_PIXEL] },
    ...{ SOPInstanceUID: `1.2.3.${at}`, ImagePositionPatient: [-30, -20, MM_SLICE * at] },
    ...{ ImageOrientationPatient: [1, 0, 0, 0, 1, 0], SliceThickness: MM_SLICE },
    ...plane,
  },
  stored: storedSlice(at),
});
const SERIES = Array.from({ length: SLICES }, (_, at) => ctSlice(at));

const RESIZE = { op: 'resize', method: 'bilinear', antialias: true } as const;
const LABELS: ModelOutput = {
  ...{ name: 'seg', kind: 'segmentation', labels: ['', 'Left lung', 'Core'], keep: 'all' },
  ...{ decode: 'threshold', activation: 'none', threshold: 0.5 },
};
const MASK: ModelOutput = { name: 'seg', kind: 'mask', label: 'lungs' };
const MEASURES: FindingRule = {
  ...{ key: 'core-volume', label: 'Volume of what is bright', measures: 'seg', of: 'Core', unit: 'mL' },
  ...{ decimals: 1, plausible: { min: 0, max: 100 } },
};

const VOLUME_WAYS: Record<string, PixelOp[]> = {
  'pixels as they are': [],
  'a resize of each slice': [{ ...RESIZE, rows: 144, columns: 160 }],
  'resampling to 1 mm': [{ op: 'resample_spacing', mm: [1, 0.5, 0.5], method: 'bilinear', origin: 'edges' }],
  'turning, resampling, cutting and padding': [
    { op: 'reorient', to: 'RAS', axes: 'xyz' },
    { op: 'resample_spacing', mm: [0.5, 0.5, 1], method: 'bilinear', origin: 'first_voxel' },
    { op: 'crop', slices: 100, rows: 100, columns: 28, at: 'centre' },
    { op: 'pad', slices: 128, rows: 112, columns: 32, where: 'both', value: 0 },
  ],
};
const IMAGE_WAYS: Record<string, PixelOp[]> = {
  'a crop and padding': [
    { op: 'crop', rows: 60, columns: 66, at: [9, 7] },
    { op: 'pad', rows: 70, columns: 90, where: 'both', value: 0 },
  ],
  'a square crop and a resize': [{ op: 'centre_crop_square' }, { ...RESIZE, rows: 512, columns: 512 }],
};

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** What a model that sees the block would say: a channel per label, or one mask with 2 where the core is. */
function answer(values: Float32Array, dims: readonly number[], output: ModelOutput) {
  if (output.kind === 'mask')
    return { dims, data: values.map((value) => (value >= 1.25 ? 2 : value >= 0.5 ? 1 : 0)) };
  const data = new Float32Array(3 * values.length);
  values.forEach((value, at) => {
    data[values.length + at] = value;
    data[2 * values.length + at] = value - 0.75;
  });
  return { dims: [...dims.slice(0, 1), 3, ...dims.slice(2)], data };
}

/** The Segmentation that is made of files, operations and what a model would say. */
async function segmentationOf(files: readonly Buffer[], ops: readonly PixelOp[], output: ModelOutput) {
  const isVolume = files.length > 1 || (readJson(files[0]!)['00280008']?.Value?.[0] ?? 1) !== 1;
  const image: ModelInput = {
    ...{ name: 'image', gives: 'image', dtype: 'float32' },
    layout: isVolume ? 'NCDHW' : 'NCHW',
  };
  const pixels: PixelOp[] = [{ op: 'modality_values' }, { op: 'scale', from: [0, 2000], to: [0, 1] }, ...ops];
  const paths = files.map((file, at) => write(`${at}.dcm`, file));
  const manifest = { pixels, inputs: [image], fits: { modality: ['CT'] } };
  const tensors = await reader.read({ paths, manifest, timeLimitMs: 20_000 });
  const { dims, bytes } = tensors.image;
  const count = dims.reduce((product, size) => product * size, 1);
  const results = { seg: answer(new Float32Array(bytes, 0, count), dims, output) };
  const read = await pictures.read([output], results, tensors, keeper.keepsMasks);
  const metadata = files.map((file) => trimMetadata(readJson(file)));
  const handoff = {
    seriesInstanceUid: jsonString(metadata[0]!, '0020000E') ?? '',
    sopInstanceUids: metadata.map((one) => jsonString(one, '00080018') ?? ''),
  };
  const evidence = await keeper.gather(
    handoff,
    { outputs: [output], findings: [MEASURES] },
    results,
    tensors,
    read,
  );
  tensors.release();
  const key = { studyInstanceUid: '1.2.3', model: 'blocks@1.0.0', inputsDigest: tensors.digest };
  const kept = JSON.parse(JSON.stringify(evidence));
  const plan = planSegmentation({ key, evidence: kept } as never, contextOf(metadata[0]!), metadata);
  const empty = { studyInstanceUid: '1.2.3', report: null, capture: null, note: null };
  const [made] = makeObjects({ ...empty, segmentation: plan?.object ?? null });
  return { plan, bytes: Buffer.from(made!.bytes) };
}

const readJson = (file: Buffer): DicomJson =>
  datasetToJson(readPart10(file, { elementsMax: elementsAllowed(file.length) }).dataset);

const contextOf = (source: DicomJson): ResultContext => ({
  source,
  algorithm: {
    deviceUid: '2.25.1',
    manufacturer: 'Tests',
    model: 'blocks',
    name: 'Blocks',
    version: '1.0.0',
  },
  moment: { date: '20260102', time: '101112' },
});

/** Reads the object as pydicom does: bits unpacked by it, segments and sources from its data set. */
function readByPydicom(bytes: Buffer): ReadSegment[] {
  const path = write('seg.dcm', bytes);
  const { stdout, stderr, status } = spawnSync(PYTHON, ['-c', READ_SEG, path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as ReadSegment[];
}

const READ_SEG = `
import sys, json, numpy, pydicom
d = pydicom.dcmread(sys.argv[1])
a = d.pixel_array
a = a.reshape((int(d.NumberOfFrames), d.Rows, d.Columns))
out = {s.SegmentNumber: dict(label=s.SegmentLabel, type=s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning, frames=[]) for s in d.SegmentSequence}
for n, g in enumerate(d.PerFrameFunctionalGroupsSequence):
    i = g.DerivationImageSequence[0].SourceImageSequence[0]
    rows, columns = numpy.nonzero(a[n])
    out[g.SegmentIdentificationSequence[0].ReferencedSegmentNumber]['frames'].append(dict(
        source=i.ReferencedSOPInstanceUID,
        frame=int(i.ReferencedFrameNumber) if 'ReferencedFrameNumber' in i else None,
        z=float(g.PlanePositionSequence[0].ImagePositionPatient[2]) if 'PlanePositionSequence' in g else None,
        box=[int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())], voxels=int(len(rows))))
print(json.dumps(list(out.values())))
`;

/** Every edge within half a voxel of where it is: pixels are whole, so at most one more or less of them, and the middle exact to a half. */
function expectPlace(segment: ReadSegment | undefined, place: Place, volume: boolean): void {
  const boxes = segment?.frames.map(({ box }) => box) ?? [];
  const edges = [place.rows[0], place.rows[1], place.columns[0], place.columns[1]];
  for (const [at, edge] of edges.entries()) {
    const found =
      at % 2 === 0 ? Math.min(...boxes.map((box) => box[at]!)) : Math.max(...boxes.map((box) => box[at]!));
    expect(Math.abs(found - edge), `edge ${at}: ${found} for ${edge}`).toBeLessThanOrEqual(1);
  }
  const middles = [0, 2].map((at) => boxes.map((box) => (box[at]! + box[at + 1]!) / 2));
  const wanted = [(edges[0]! + edges[1]!) / 2, (edges[2]! + edges[3]!) / 2];
  for (const [axis, all] of middles.entries())
    for (const middle of all) expect(Math.abs(middle - wanted[axis]!)).toBeLessThanOrEqual(0.5);
  if (!volume) return;
  const zs = segment!.frames.map(({ z }) => z! / MM_SLICE).sort((a, b) => a - b);
  const [first, last] = place.slices;
  expect(zs).toEqual(Array.from({ length: last - first + 1 }, (_, at) => first + at));
}

async function accepted(bytes: Buffer): Promise<number> {
  const answer = await fetch(new URL('instances', orthanc.api), {
    method: 'POST',
    body: new Uint8Array(bytes),
  });
  await answer.body?.cancel();
  return answer.status;
}

describeWithPeer('a mask comes back to the stored pixels', missing, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'segmentation-'));
    orthanc = await startOrthanc();
  }, 60_000);
  afterAll(async () => {
    await workers.close();
    await orthanc?.stop();
    if (folder) rmSync(folder, { recursive: true });
  });

  it.each(Object.entries(VOLUME_WAYS))(
    'after %s: labels that overlap are segments of their own, on their slices',
    async (_, ops) => {
      const files = SERIES.map(({ attributes, stored }) => phantomFile(attributes, stored));
      const { plan, bytes } = await segmentationOf(files, ops, LABELS);
      expect(dciodvfy(bytes).errors).toEqual([]);
      const [lung, core] = readByPydicom(bytes);
      expect([lung?.label, lung?.type, core?.label]).toEqual(['Left lung', 'Lung', 'Core']);
      expectPlace(lung, BLOCK, true);
      expectPlace(core, CORE, true);
      for (const { source, frame, z } of [...lung!.frames, ...core!.frames])
        expect([source, frame]).toEqual([`1.2.3.${Math.round(z! / MM_SLICE)}`, null]);
      const volume = {
        resourceType: 'Observation',
        code: { text: 'core-volume' },
        valueQuantity: { value: 1 },
      };
      expect(plan?.segmentOf(volume as never)?.number).toBe(2);
      expect(await accepted(bytes)).toBe(200);
    },
  );

  it.each(Object.entries(VOLUME_WAYS).slice(3))('after %s: so does a mask that is drawn', async (_, ops) => {
    const files = SERIES.map(({ attributes, stored }) => phantomFile(attributes, stored));
    const { bytes } = await segmentationOf(files, ops, MASK);
    expect(dciodvfy(bytes).errors).toEqual([]);
    const [region, finding] = readByPydicom(bytes);
    expect([region?.label, finding?.label]).toEqual(['lungs', 'lungs: finding']);
    expectPlace(region, BLOCK, true);
    expectPlace(finding, CORE, true);
  });

  it.each(Object.entries(IMAGE_WAYS))('of a radiograph after %s', async (_, ops) => {
    const { attributes, stored } = ctSlice(5, {
      FrameOfReferenceUID: undefined,
      ImagePositionPatient: undefined,
      ImageOrientationPatient: undefined,
      PatientOrientation: ['L', 'F'],
    });
    const { bytes } = await segmentationOf([phantomFile(attributes, stored)], ops, LABELS);
    expect(dciodvfy(bytes).errors).toEqual([]);
    const [lung, core] = readByPydicom(bytes);
    expectPlace(lung, BLOCK, false);
    expectPlace(core, CORE, false);
    expect(lung?.frames).toMatchObject([{ source: '1.2.3.5', frame: null, z: null }]);
    expect(await accepted(bytes)).toBe(200);
  });

  it('of an enhanced object whose frames lie in another order names object and frame', async () => {
    const order = [7, 3, 11, 0, 4, 8, 1, 5, 9, 2, 6, 10];
    const file = enhancedFile(order.map((at) => SERIES[at]!));
    const { bytes } = await segmentationOf([file], VOLUME_WAYS['resampling to 1 mm']!, LABELS);
    expect(dciodvfy(bytes).errors).toEqual([]);
    const [lung, core] = readByPydicom(bytes);
    expectPlace(lung, BLOCK, true);
    expectPlace(core, CORE, true);
    const uid = jsonString(readJson(file), '00080018');
    for (const { source, frame, z } of lung!.frames)
      expect([source, order[frame! - 1]]).toEqual([uid, Math.round(z! / MM_SLICE)]);
    expect(await accepted(file)).toBe(200);
    expect(await accepted(bytes)).toBe(200);
  });
});
