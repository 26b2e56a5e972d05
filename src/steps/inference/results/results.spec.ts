import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { DetectionOutput, SegmentationOutput } from '../../../governance/manifest.ts';
import { IDENTITY } from '../pixels/affine.ts';
import { labelPieces } from './label-pieces.ts';
import { OUTLINE_POINTS_MAX, outlineMask } from './outline-mask.ts';
import { PIECES_MAX, pictureResult, type TensorPlace } from './picture-results.ts';
import { BOXES_MAX, CANDIDATES_MAX, readBoxes } from './read-boxes.ts';
import { readLabels } from './read-labels.ts';

const EXTENT = [1, 100, 200] as const;
const detection = (changes: Partial<DetectionOutput> = {}): DetectionOutput => ({
  ...{ name: 'boxes', kind: 'detection', labels: ['Nodule', 'Mass'], form: 'xyxy', unit: 'pixels' },
  ...{ scores: { output: 'scores' }, classes: { output: 'classes' }, activation: 'none', score_min: 0.05 },
  ...{ nms: 'graph', ...changes },
});
const tensor = (dims: number[], data: number[]) => ({ dims, data: Float32Array.from(data) });
const flat = (boxes: readonly { from: readonly number[]; to: readonly number[] }[]) =>
  boxes.map(({ from, to }) => [from[2], from[1], to[2], to[1]]);

describe('Boxes', () => {
  const FORMS = [
    ['xyxy', 'pixels', [10, 20, 40, 60]],
    ['xywh', 'pixels', [10, 20, 30, 40]],
    ['cxcywh', 'pixels', [25, 40, 30, 40]],
    ['xyxy', 'share', [0.05, 0.2, 0.2, 0.6]],
    ['cxcywh', 'share', [0.125, 0.4, 0.15, 0.4]],
  ] as const;
  test.each(FORMS)('as %s in %s are read', (form, unit, numbers) => {
    const results = {
      boxes: tensor([1, 4], [...numbers]),
      scores: tensor([1], [0.5]),
      classes: tensor([1], [1]),
    };
    const [box] = readBoxes(detection({ form, unit }), results, EXTENT);
    expect(flat([box!])[0]!.map((value) => Math.round(value! * 1e4) / 1e4)).toEqual([10, 20, 40, 60]);
    expect(box).toMatchObject({ label: 1, score: 0.5 });
  });

  test('in three dimensions count x, y, z', () => {
    const results = { boxes: tensor([1, 6], [25, 40, 5, 30, 40, 4]), scores: tensor([1], [0.5]) };
    const [box] = readBoxes(
      { ...detection({ form: 'cxcyczwhd', labels: ['Nodule'] }), classes: { output: 'c' } },
      { ...results, c: tensor([1], [0]) },
      [10, 100, 200],
    );
    expect(box).toMatchObject({ from: [3, 20, 10], to: [7, 60, 40] });
  });

  test('of a one-stage detector lie in columns, with a score for each label behind', () => {
    const rows = [
      [50, 50, 10, 10, -3, 3],
      [80, 80, 10, 10, 2, -9],
      [20, 20, 10, 10, -9, -9],
    ];
    const data = rows[0]!.flatMap((_, column) => rows.map((row) => row[column]!));
    const { classes: _, ...output } = detection({
      form: 'cxcywh',
      scores: { column: 4 },
      activation: 'sigmoid',
      candidates: 'last',
    });
    const boxes = readBoxes(output, { boxes: tensor([1, 6, 3], data) }, EXTENT);
    expect(boxes.map(({ label, score }) => [label, score.toFixed(3)])).toEqual([
      [1, '0.953'],
      [0, '0.881'],
    ]);
  });

  test('that overlap a better one are dropped, of one label or of all', () => {
    const results = {
      boxes: tensor([4, 4], [10, 10, 30, 30, 11, 11, 31, 31, 12, 10, 32, 30, 60, 60, 80, 80]),
      scores: tensor([4], [0.7, 0.9, 0.8, 0.3]),
      classes: tensor([4], [0, 0, 1, 0]),
    };
    const kept = (across_classes: boolean) =>
      readBoxes(detection({ nms: { iou: 0.5, across_classes } }), results, EXTENT).map(({ score }) =>
        score.toFixed(1),
      );
    expect(kept(false)).toEqual(['0.9', '0.8', '0.3']);
    expect(kept(true)).toEqual(['0.9', '0.3']);
    expect(readBoxes(detection(), results, EXTENT).length).toBe(4);
  });

  test('below the lowest score, without area, of an empty label or of the background are dropped', () => {
    const results = {
      boxes: tensor([4, 4], [1, 1, 5, 5, 7, 7, 7, 9, 1, 1, 5, 5, 1, 1, 5, 5]),
      scores: tensor([4], [0.01, 0.9, 0.9, 0.9]),
      classes: tensor([4], [1, 1, 2, 0]),
    };
    expect(readBoxes(detection({ labels: ['Nodule', ''], first_class: 1 }), results, EXTENT)).toEqual([]);
  });

  test('are kept up to a limit, the best', () => {
    const n = BOXES_MAX + 50;
    const results = {
      boxes: tensor([n, 4], Array.from({ length: n }, (_, i) => [i, 0, i + 1, 1]).flat()),
      scores: tensor(
        [n],
        Array.from({ length: n }, (_, i) => 0.1 + i / 1000),
      ),
      classes: tensor([n], new Array<number>(n).fill(0)),
    };
    const boxes = readBoxes(detection(), results, EXTENT);
    expect(boxes.length).toBe(BOXES_MAX);
    expect(boxes[0]!.from[2]).toBe(n - 1);
  });

  const REFUSED: [string, Record<string, ReturnType<typeof tensor>>, string][] = [
    ['no output', {}, 'is not a table'],
    ['three numbers', { boxes: tensor([1, 3], [1, 2, 3]) }, 'is not a table'],
    [
      'a number that is none',
      { boxes: tensor([1, 4], [Number.NaN, 1, 2, 3]), scores: tensor([1], [0.5]), classes: tensor([1], [0]) },
      'finite',
    ],
    [
      'a logit for a score',
      { boxes: tensor([1, 4], [0, 1, 2, 3]), scores: tensor([1], [4]), classes: tensor([1], [0]) },
      'none from 0 to 1',
    ],
    [
      'an unknown class',
      { boxes: tensor([1, 4], [0, 1, 2, 3]), scores: tensor([1], [0.5]), classes: tensor([1], [9]) },
      'no label',
    ],
    [
      'too few scores',
      {
        boxes: tensor([2, 4], [0, 1, 2, 3, 0, 1, 2, 3]),
        scores: tensor([1], [0.5]),
        classes: tensor([2], [0, 0]),
      },
      'a number for each',
    ],
    [
      'too many candidates',
      { boxes: { dims: [CANDIDATES_MAX + 1, 4], data: new Float32Array(0) } },
      'at most',
    ],
  ];
  test.each(REFUSED)('with %s are refused', (_, results, text) => {
    expect(() => readBoxes(detection(), results, EXTENT)).toThrowError(text);
  });
});

const segmentation = (changes: Partial<SegmentationOutput> = {}): SegmentationOutput => ({
  ...{
    name: 'seg',
    kind: 'segmentation',
    labels: ['', 'Lung', 'Nodule'],
    decode: 'argmax',
    keep: 'all',
    ...changes,
  },
});

describe('Labels', () => {
  test('are the highest channel, the first of equal ones', () => {
    const data = [1, 0, 0, 1, 0, 3, 0, 1, 0, 2, 5, 0];
    expect(Array.from(readLabels(segmentation(), tensor([1, 3, 2, 2], data), false).grids[0]!)).toEqual([
      0, 2, 3, 0,
    ]);
  });

  test('are channels above the threshold, each for itself, before or after the sigmoid', () => {
    const output = segmentation({
      labels: ['Lung', 'Nodule'],
      decode: 'threshold',
      threshold: 0.731,
      activation: 'sigmoid',
    });
    const { grids } = readLabels(output, tensor([2, 1, 2], [1, 1.01, -1, 2]), false);
    expect(grids.map((grid) => Array.from(grid))).toEqual([
      [1, 1],
      [0, 2],
    ]);
  });

  test('come as numbers from the graph', () => {
    const { grids } = readLabels(
      segmentation({ decode: 'label_map' }),
      tensor([1, 2, 2], [0, 1, 2, 1]),
      false,
    );
    expect(Array.from(grids[0]!)).toEqual([0, 2, 3, 2]);
  });

  test.each([
    [
      'other channels than labels',
      segmentation(),
      tensor([1, 2, 2, 2], new Array(8).fill(0)),
      'is not 3 channels',
    ],
    [
      'a number without label',
      segmentation({ decode: 'label_map' }),
      tensor([1, 2], [0, 7]),
      'does not name',
    ],
    ['no finite number', segmentation(), tensor([3, 1, 1], [Number.NaN, 0, 1]), 'finite'],
  ] as const)('with %s are refused', (_, output, result, text) => {
    expect(() => readLabels(output, result, false)).toThrowError(text);
  });
});

test('Pieces are those that scipy finds, the largest the same', () => {
  const path = `${import.meta.dirname}/../../../../test/fixtures/pixels/references.json`;
  const { pieces } = JSON.parse(readFileSync(path, 'utf8')) as {
    pieces: { shape: [number, number, number]; mask: number[]; sizes: number[]; largest: number[] };
  };
  const found = labelPieces(Uint8Array.from(pieces.mask), pieces.shape);
  expect(found.map(({ voxels }) => voxels)).toEqual(pieces.sizes);
  const largest = new Uint8Array(pieces.mask.length);
  for (const [first, length] of found[0]!.runs) largest.fill(1, first, first + length);
  expect(Array.from(largest)).toEqual(pieces.largest);
});

describe('Outlines', () => {
  const area = (lines: readonly string[]) => ({
    ...{ top: 0, left: 0, bottom: lines.length, right: lines[0]!.length },
    inside: (row: number, column: number) => lines[row]?.[column] === '#',
  });
  test('run along the edges of pixels, clockwise, with corners only', () => {
    expect(outlineMask(area(['....', '.##.', '.#..', '....']))).toEqual([3, 1, 3, 2, 2, 2, 2, 3, 1, 3, 1, 1]);
  });
  test('are those of the largest piece, without its hole; corners do not join', () => {
    const points = outlineMask(area(['#...', '.###', '.#.#', '.###']))!;
    expect(points).toEqual([4, 1, 4, 4, 1, 4, 1, 1]);
  });
  test('of nothing are none', () => {
    expect(outlineMask(area(['...']))).toBeNull();
  });
  test('of ragged regions have no more points than the limit, and keep their extent', () => {
    const inside = (row: number, column: number) =>
      Math.hypot(row - 400, column - 400) < 390 + 8 * Math.sin(row * 1.7) * Math.cos(column * 2.3);
    const points = outlineMask({ top: 0, left: 0, bottom: 800, right: 800, inside })!;
    expect(points.length / 2).toBeLessThanOrEqual(OUTLINE_POINTS_MAX);
    const xs = points.filter((_, i) => i % 2 === 0);
    expect(Math.max(...xs) - Math.min(...xs)).toBeGreaterThan(765);
  });
});

describe('What a picture shows', () => {
  const place: TensorPlace = {
    ...{ extent: [1, 8, 8], isVolume: false, toSource: IDENTITY, source: [1, 8, 8], voxel: 0.25 },
  };
  test('is measured, small pieces left out, and the mask is on the stored image', () => {
    const mask = new Array<number>(64).fill(0);
    for (const at of [9, 10, 17, 18, 40]) mask[at] = 1;
    const output = segmentation({ labels: ['', 'Lung'], decode: 'label_map', size_min: 0.5 });
    const result = pictureResult(output, { seg: tensor([8, 8], mask) }, place)!;
    expect(result.numbers?.data).toEqual([0, 1]);
    expect(result.regions).toEqual([
      { label: 'Lung', slice: 0, box: [1, 1, 3, 3], polygon: [3, 1, 3, 3, 1, 3, 1, 1], score: null, size: 1 },
    ]);
    expect(Array.from(result.mask!).filter((value) => value === 2).length).toBe(4);
  });
  test('has no more pieces than are told, and all of them count', () => {
    const mask = Array.from({ length: 64 }, (_, i) => ((i + Math.floor(i / 8)) % 2 === 0 ? 1 : 0));
    const result = pictureResult(
      segmentation({ labels: ['', 'Lung'], decode: 'label_map' }),
      { seg: tensor([8, 8], mask) },
      place,
    )!;
    expect(result.regions.length).toBe(PIECES_MAX);
    expect(result.numbers?.data[1]).toBe(8);
  });
  test('has no size where the files have no distances, and is refused where one decides', () => {
    const seg = tensor([8, 8], new Array(64).fill(1));
    const output = segmentation({ labels: ['', 'Lung'], decode: 'label_map' });
    expect(pictureResult(output, { seg }, { ...place, voxel: null })?.numbers).toBeNull();
    expect(() => pictureResult({ ...output, size_min: 1 }, { seg }, { ...place, voxel: null })).toThrowError(
      'distances',
    );
  });
  test('of a heat map is the part round its peak, on the stored image', () => {
    const map = tensor([1, 1, 4, 4], [0, 0, 0, 0, 0, 0.9, 0.5, 0, 0, 0.2, 0, 0, 0.8, 0, 0, 0]);
    const result = pictureResult(
      { name: 'cam', kind: 'heat_map', label: 'Mass', level: 0.5 },
      { cam: map },
      place,
    )!;
    expect(result.regions).toMatchObject([{ label: 'Mass', box: [2, 2, 6, 4] }]);
    const dark = pictureResult(
      { name: 'cam', kind: 'heat_map', label: 'Mass', level: 0.5 },
      { cam: tensor([1, 1, 2, 2], [0, 0, 0, 0]) },
      place,
    );
    expect(dark?.regions).toEqual([]);
  });
});
