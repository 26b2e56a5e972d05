import { Failure } from '../../kernel/errors.ts';
import { readFhirJson } from './read-fhir-json.ts';
import { readLoinc } from './read-loinc.ts';
import { readRadLexCsv, readRadLexOwl } from './read-radlex.ts';
import { readRf2 } from './read-rf2.ts';
import { linesOf, type SourceFile } from './source-files.ts';
import type { ReadTerminology } from './staging.ts';

/** Finds out what a release is by the names of its files, for a table by its first line. */
export async function detectFormat(
  files: readonly SourceFile[],
  language?: string,
): Promise<ReadTerminology> {
  if (files.some(({ name }) => /^x?sct2_Concept_/i.test(name))) return readRf2(files, language);
  const loinc = loincTable(files);
  if (loinc) return readLoinc(loinc);
  const owl = files.find(({ name }) => /\.(owl|rdf)$/i.test(name));
  if (owl) return readRadLexOwl(owl);
  const [only] = files.length === 1 ? files : [];
  if (only && /\.json$/i.test(only.name)) return readFhirJson(only);
  if (only && /\.csv$/i.test(only.name)) return ofTable(only);
  throw new Failure(
    'terminology.import',
    'This is no release that can be read. Give a FHIR CodeSystem (.json), a folder or zip with an RF2 snapshot, LOINC’s Loinc.csv, or RadLex as .owl or .csv.',
  );
}

/** A release has a second table of this name, with a part of the codes, beside those of its panels. */
function loincTable(files: readonly SourceFile[]): SourceFile | undefined {
  const all = files.filter(({ name }) => /^Loinc\.csv$/i.test(name));
  if (all.length < 2) return all[0];
  const [whole, ...more] = all.filter(({ folder }) => /^LoincTable$/i.test(folder));
  if (whole && more.length === 0) return whole;
  throw new Failure(
    'terminology.import',
    'There are several files Loinc.csv. Name the one in LoincTable of the release.',
  );
}

async function ofTable(file: SourceFile): Promise<ReadTerminology> {
  for await (const line of linesOf(file)) {
    if (/\bLOINC_NUM\b/.test(line)) return readLoinc(file);
    if (/Class ID/.test(line) && /Preferred Label/.test(line)) return readRadLexCsv(file);
    break;
  }
  throw new Failure(
    'terminology.import',
    'The first line of the table names neither LOINC_NUM nor Class ID.',
  );
}
