/**
 * Writes a phantom as DICOM files:
 *
 *     node models/phantom/cli.ts --out <folder> [--kind chest|head|localizer|radiograph] [--slices 120] [--rows 512]
 *       [--spacing 2.5] [--pixel 0.72] [--emphysema 12] [--noise 20] [--kernel B30f] [--seed 7]
 *
 * and prints the truth as JSON. `--emphysema` is a percentage, `--rows` also sets the columns, spacings are millimetres.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type PhantomKernel, type PhantomOptions, phantomSeries, WRONG_STUDIES } from './make-phantom.ts';
import { phantomFile } from './phantom-file.ts';
import { phantomRadiograph } from './radiograph.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    out: text,
    kind: { type: 'string', default: 'chest' },
    slices: text,
    rows: text,
    spacing: text,
    pixel: text,
    emphysema: text,
    noise: text,
    kernel: text,
    seed: text,
  },
});

try {
  main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function main(): void {
  if (values.out === undefined) throw new RangeError('--out <folder> is missing');
  mkdirSync(values.out, { recursive: true });
  const truth =
    values.kind === 'radiograph' ? writeRadiograph(values.out) : writeSeries(values.out, values.kind);
  process.stdout.write(`${JSON.stringify(truth)}\n`);
}

function writeSeries(folder: string, kind: string): object {
  if (kind !== 'chest' && kind !== 'head' && kind !== 'localizer') {
    throw new RangeError('--kind must be chest, head, localizer or radiograph');
  }
  const series = phantomSeries({ ...(kind === 'chest' ? {} : WRONG_STUDIES[kind]), ...given() });
  for (const slice of series.slices()) {
    const name = `${String(slice.index + 1).padStart(4, '0')}.dcm`;
    writeFileSync(join(folder, name), phantomFile(slice.attributes, slice.stored));
  }
  const { studyInstanceUid, accessionNumber } = series.identity;
  return { studyInstanceUid, accessionNumber, slices: series.options.slices, ...series.truth() };
}

function writeRadiograph(folder: string): object {
  const { attributes, stored } = phantomRadiograph({
    seed: number('seed') ?? 1,
    emphysemaFraction: (number('emphysema') ?? 0) / 100,
  });
  writeFileSync(join(folder, '0001.dcm'), phantomFile(attributes, stored));
  return { studyInstanceUid: attributes['StudyInstanceUID'], accessionNumber: attributes['AccessionNumber'] };
}

function given(): Partial<PhantomOptions> {
  const emphysema = number('emphysema');
  const all = {
    slices: number('slices'),
    rows: number('rows'),
    columns: number('rows'),
    sliceSpacingMm: number('spacing'),
    pixelSpacingMm: number('pixel'),
    emphysemaFraction: emphysema === undefined ? undefined : emphysema / 100,
    noiseHu: number('noise'),
    kernel: values.kernel as PhantomKernel | undefined,
    seed: number('seed'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function number(
  name: 'slices' | 'rows' | 'spacing' | 'pixel' | 'emphysema' | 'noise' | 'seed',
): number | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const value = Number(given);
  if (given.trim() === '' || !Number.isFinite(value)) throw new RangeError(`--${name} must be a number`);
  return value;
}
