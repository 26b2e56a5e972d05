import { lungGraph } from './lung-graph.ts';
import { encodeModel } from './onnx-model.ts';

/** The bytes of `ct-lung-density` 1.0.0: the same on every machine. */
export function buildModel(): Uint8Array {
  return encodeModel(lungGraph(), {
    name: 'ct_lung_density',
    producer: 'ct-lung-density',
    version: '1.0.0',
    doc: 'Lung volume, mean lung density and the share of lung voxels below -950 HU of an axial chest CT.',
    opset: 17,
    metadata: { license: 'Apache-2.0', method: 'density mask; no training' },
  });
}
