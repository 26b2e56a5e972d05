import { describe, expect, test } from 'vitest';
import type { Manifest, ModelInput, ModelOutput, PixelOp } from './manifest.ts';
import { combinedOutputFaults } from './output-rules.ts';
import { combinedPixelFaults, finalSize } from './pixel-rules-combined.ts';

const input = (layout: ModelInput['layout']): ModelInput[] => [
  { name: 'x', gives: 'image', dtype: 'float32', ...(layout ? { layout } : {}) },
];
const WINDOW = { op: 'window', voi: 'file', to: [0, 1] } as const;
const SCALE = { op: 'scale', from: [0, 1], to: [0, 2] } as const;
const Z = { op: 'z_score', over: 'volume' } as const;

const WRONG: [string, PixelOp[], ModelInput['layout'], string][] = [
  [
    'a window of the file on stored values',
    [{ op: 'stored_values' }, WINDOW],
    'NCHW',
    'modality_values must stand first',
  ],
  [
    'a window of the file after a scale',
    [{ op: 'modality_values' }, SCALE, WINDOW],
    'NCHW',
    'scale before it changed them',
  ],
  [
    'a window of the file after the turn',
    [{ op: 'modality_values' }, { op: 'invert_if_monochrome1' }, WINDOW],
    'NCHW',
    'belongs after it',
  ],
  ['a volume operation on an image', [Z], 'NCHW', 'needs a volume'],
  ['reorient on an image', [{ op: 'reorient', to: 'RAS' }], 'NHWC', 'needs a volume'],
  [
    'a window of the file after the volume',
    [{ op: 'modality_values' }, { op: 'reorient', to: 'RAS' }, WINDOW],
    'DHW',
    'that of each image',
  ],
  [
    'MONOCHROME1 after the volume',
    [{ op: 'reorient', to: 'RAS' }, { op: 'invert_if_monochrome1' }],
    'DHW',
    'said by each image',
  ],
  [
    'two distances after the volume',
    [Z, { op: 'resample_spacing', mm: [1, 1], method: 'bilinear', origin: 'edges' }],
    'DHW',
    'three numbers',
  ],
  ['MONOCHROME1 twice', [{ op: 'invert_if_monochrome1' }, { op: 'invert_if_monochrome1' }], 'NCHW', 'twice'],
  [
    'MONOCHROME1 after a z-score',
    [{ op: 'z_score', over: 'image' }, { op: 'invert_if_monochrome1' }],
    'NCHW',
    'leaves open',
  ],
  ['bits after a scale', [SCALE, { op: 'to_8bit', from: 'bits' }], 'NCHW', 'changed the values'],
  [
    'percentiles the wrong way',
    [{ op: 'percentile_clip', over: 'image', low: 9, high: 9 }],
    'NCHW',
    'low is not below high',
  ],
  [
    'a place without a slice',
    [{ op: 'crop', rows: 1, columns: 1, slices: 1, at: [0, 0] }],
    'DHW',
    'slice, row and column',
  ],
  [
    'aligned corners with antialias',
    [{ op: 'resize', rows: 1, columns: 1, method: 'bilinear', antialias: true, centres: 'align_corners' }],
    'NCHW',
    'antialias',
  ],
  [
    'aligned corners, nearest',
    [{ op: 'resize', rows: 1, columns: 1, method: 'nearest', antialias: false, centres: 'align_corners' }],
    'NCHW',
    'nearest',
  ],
  [
    'a window too narrow',
    [{ op: 'window', voi: { centre: 0, width: 0.5, shape: 'LINEAR' }, to: [0, 1] }],
    'NCHW',
    'at least 1 wide',
  ],
  ['three channels of a volume', [{ op: 'channels', count: 3 }], 'NCDHW', 'one value per voxel'],
];

test.each(WRONG)('%s is refused', (_, pixels, layout, text) => {
  expect(combinedPixelFaults({ pixels, inputs: input(layout) }).map((fault) => fault.text)).toEqual([
    expect.stringContaining(text),
  ]);
});

test('All faults are named at once, each at its place', () => {
  const faults = combinedPixelFaults({ pixels: [Z, SCALE, WINDOW], inputs: input('NCHW') });
  expect(faults.map(({ at }) => at)).toEqual(['/pixels/0', '/pixels/2', '/pixels/2']);
});

test('What goes together is left alone', () => {
  const pixels: PixelOp[] = [
    { op: 'modality_values' },
    WINDOW,
    { op: 'invert_if_monochrome1' },
    { op: 'reorient', to: 'LPS' },
    Z,
  ];
  expect(combinedPixelFaults({ pixels, inputs: input('NCDHW') })).toEqual([]);
});

test('The final size is known where the manifest alone decides it', () => {
  const resize: PixelOp = { op: 'resize', rows: 100, columns: 200, method: 'bilinear', antialias: true };
  expect(finalSize([resize])).toEqual({ D: null, H: 100, W: 200 });
  expect(finalSize([resize, { op: 'pad_square', value: 0 }])).toEqual({ D: null, H: 200, W: 200 });
  expect(finalSize([resize, { op: 'pad', rows: 150, columns: 150, where: 'end', value: 0 }])).toEqual({
    D: null,
    H: 150,
    W: 200,
  });
  expect(finalSize([{ op: 'crop', slices: 3, rows: 4, columns: 5, at: 'centre' }])).toEqual({
    D: 3,
    H: 4,
    W: 5,
  });
  expect(finalSize([resize, { op: 'reorient', to: 'RAS' }])).toEqual({ D: null, H: null, W: null });
});

describe('Outputs', () => {
  const cls = (more: object) =>
    ({
      name: 'o',
      kind: 'classification',
      labels: ['A', 'B'],
      gives: 'logits',
      activation: 'sigmoid',
      ...more,
    }) as ModelOutput;
  const det = (more: object) =>
    ({
      name: 'o',
      kind: 'detection',
      labels: ['A'],
      form: 'xyxy',
      unit: 'pixels',
      scores: { output: 's' },
      activation: 'none',
      score_min: 0.3,
      nms: 'graph',
      ...more,
    }) as ModelOutput;
  const seg = (more: object) =>
    ({
      name: 'o',
      kind: 'segmentation',
      labels: ['', 'A'],
      decode: 'argmax',
      keep: 'all',
      ...more,
    }) as ModelOutput;
  const presence = { key: 'a', label: 'A', from: { output: 'o', label: 'A' }, threshold: { positive: 0.2 } };
  const size = {
    key: 'a',
    label: 'A',
    measures: 'o',
    of: 'A',
    unit: 'mL',
    decimals: 1,
    plausible: { min: 0, max: 9 },
  };
  const WRONG_OUTPUTS: [string, ModelOutput, object | null, string][] = [
    ['op_norm of another length', cls({ op_norm: [0.1] }), null, '1 numbers for 2 labels'],
    ['op_norm after softmax', cls({ op_norm: [0.1, 0.2], activation: 'softmax' }), null, 'softmax'],
    ['a finding of a label that was not trained', cls({ op_norm: [null, 0.2] }), presence, 'not trained'],
    ['a box for a volume on an image', det({ form: 'xyzxyz' }), null, 'a form for volumes'],
    ['scores inside the box', det({ scores: { column: 3 } }), null, 'come after'],
    ['a threshold below the lowest score', det({}), presence, 'below score_min'],
    ['a threshold that is missing', seg({ decode: 'threshold' }), null, 'needs a threshold'],
    ['a threshold that means nothing', seg({ threshold: 0.5 }), null, 'no meaning'],
    ['a volume of an image', seg({}), size, 'measured in mm2'],
    ['a label that is none', seg({}), { ...size, unit: 'mm2', of: 'B' }, 'must name a label'],
    ['a heat map that is none', cls({}), { ...presence, shown_by: 'cam' }, 'no heat map'],
  ];
  test.each(WRONG_OUTPUTS)('with %s are refused', (_, output, finding, text) => {
    const manifest = {
      inputs: input('NCHW'),
      outputs: [output],
      findings: finding ? [finding] : [],
    } as unknown as Manifest;
    expect(combinedOutputFaults(manifest).map((fault) => fault.text)).toEqual([
      expect.stringContaining(text),
    ]);
  });
});
