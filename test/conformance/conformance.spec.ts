import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { GROUPS } from './all.ts';
import { FhirServer } from './fhir-server.ts';

/** The same checks as `npm run conformance` runs against any server, against ours. */
let prelim: PrelimServer;
let server: FhirServer;

beforeAll(async () => {
  prelim = await freshServer({ LOG_LEVEL: 'error' });
  server = new FhirServer(`${prelim.url}/fhir`, prelim.token);
});

afterAll(() => prelim.close());

it('has three hundred checks at least', () => {
  expect(GROUPS.flatMap(({ checks }) => checks).length).toBeGreaterThanOrEqual(300);
});

describe.each(GROUPS)('$name ($clause)', ({ checks }) => {
  it.each(checks.map((check) => [check.title, check] as const))('%s', (_title, check) => check.run(server));
});
