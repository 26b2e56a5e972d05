import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDefinitions } from '../definitions/definitions.ts';
import { parseResource } from './parse-resource.ts';
import { findIssues } from './validate-resource.ts';

/** HL7's validator cases for R4 with the outcome of the reference validator; how ours differs, and why: docs/decisions/own-validator.md. */
const FOLDER = '../shared/data/fhir/validator-cases';
const here = existsSync(join(FOLDER, 'cases.csv'));

/** The reference validator refuses these, we accept them. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'pat-dob-ext.json': 'an extension whose definition is not at hand; a server keeps it',
  'patient-with-turvakielto.json': 'an extension whose definition is not at hand; a server keeps it',
  'vs-bad-code.json': 'needs SNOMED CT',
  'vs-params-2.json': 'parameters inside expressions of an extension are not followed',
};

beforeAll(() => loadDefinitions().then(() => undefined));

const valid = (file: string): boolean => {
  try {
    const issues = findIssues(parseResource(readFileSync(join(FOLDER, file))));
    return !issues.some((issue) => issue.severity === 'error');
  } catch {
    return false;
  }
};

describe.skipIf(!here)(`validator cases${here ? '' : ' (skipped: no shared data)'}`, () => {
  it('agrees with the reference validator but for the cases listed with their reason', () => {
    const rows = readFileSync(join(FOLDER, 'cases.csv'), 'utf8').trim().split('\n').slice(1);
    const differing = rows
      .map((row) => row.split(','))
      .filter(([file = '', , errors]) => valid(file) !== (errors === '0'))
      .map(([file = '']) => file);
    expect(differing.sort()).toEqual(Object.keys(DIFFERENT).sort());
    const outside = Object.values(DIFFERENT).filter((why) => why.startsWith('needs')).length;
    const judged = rows.length - outside;
    expect((judged - (differing.length - outside)) / judged).toBeGreaterThanOrEqual(0.9);
  });
});
