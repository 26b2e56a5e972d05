/** Writes `models/ct-lung-density/1.0.0/model.onnx` and prints its SHA-256, which belongs in the manifest. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { buildModel } from '../models/ct-lung-density/build/build-model.ts';

const target = new URL('../models/ct-lung-density/1.0.0/model.onnx', import.meta.url);
const model = buildModel();
writeFileSync(target, model);
process.stdout.write(`${createHash('sha256').update(model).digest('hex')}  ${model.length} bytes\n`);
