import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Resource } from '@medplum/fhirtypes';
import { observationOf, patientOf, reportOf, studyOf } from './fhir-resources.ts';
import { codeOf, type Seeded, type SeedSize, searchedOf } from './fhir-workloads.ts';

/** Observations per patient: the same in every set, so that what a search finds does not grow with the set. */
const OBSERVATIONS_PER_PATIENT = 20;
/** Lines of one write to a file. */
const CHUNK_LINES = 500;

/** A tenth as many reports as Observations, and a study per patient. */
export const growthSize = (observations: number): SeedSize => ({
  patients: Math.ceil(observations / OBSERVATIONS_PER_PATIENT),
  observations,
  reports: Math.ceil(observations / 10),
});

/** As long as the ids that the server makes, and growing with time as those do. */
const idOf = (kind: string, n: number): string =>
  `${kind}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const patient = (n: number): string => `Patient/${idOf('01900000', n)}`;
const study = (n: number): string => `ImagingStudy/${idOf('01900001', n)}`;
const observation = (n: number): string => `Observation/${idOf('01900002', n)}`;
const report = (n: number): string => `DiagnosticReport/${idOf('01900003', n)}`;

/** What `writeGrowthFiles` writes, as the workloads know it: they read and update all over the set. */
export function growthSeeded(size: SeedSize): Seeded {
  const all = (count: number, of: (n: number) => string): string[] =>
    Array.from({ length: count }, (_, n) => of(n));
  return {
    patients: all(size.patients, patient),
    studies: all(size.patients, study),
    observations: all(size.observations, observation),
    pool: Math.floor(size.observations / 2),
  };
}

/** Writes NDJSON into the folder, in the order of import. Gives the names and the number of lines of each. */
export async function writeGrowthFiles(
  folder: string,
  size: SeedSize,
): Promise<readonly { name: string; lines: number }[]> {
  const searched = searchedOf(size);
  const owner = (n: number): [string, string] => [patient(n % searched), study(n % searched)];
  const files: [string, number, (n: number) => string, (n: number) => Resource][] = [
    ['patients.ndjson', size.patients, patient, patientOf],
    ['studies.ndjson', size.patients, study, (n) => studyOf(n, patient(n))],
    [
      'observations.ndjson',
      size.observations,
      observation,
      (n) => observationOf(n, codeOf(n, searched), ...owner(n)),
    ],
    [
      'reports.ndjson',
      size.reports,
      report,
      (n) => reportOf(n, n % 4 === 0 ? 'preliminary' : 'final', ...owner(n), [observation(n)]),
    ],
  ];
  for (const [name, count, reference, make] of files) {
    const lines = linesOf(count, (n) => ({ ...make(n), id: reference(n).split('/')[1] as string }));
    await pipeline(Readable.from(lines), createWriteStream(join(folder, name)));
  }
  return files.map(([name, lines]) => ({ name, lines }));
}

function* linesOf(count: number, make: (n: number) => Resource): Generator<string> {
  for (let from = 0; from < count; from += CHUNK_LINES) {
    let text = '';
    for (let n = from; n < Math.min(count, from + CHUNK_LINES); n++) text += `${JSON.stringify(make(n))}\n`;
    yield text;
  }
}
